@main
struct StreamProcessorMain {
    static func main() {}
}
