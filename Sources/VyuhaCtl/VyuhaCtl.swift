@main
struct VyuhaCtlMain {
    static func main() {}
}
