@main
struct TrainerMain {
    static func main() {}
}
