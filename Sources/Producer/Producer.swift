@main
struct ProducerMain {
    static func main() {}
}
