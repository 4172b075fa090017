@main
struct AlertSinkMain {
    static func main() {}
}
