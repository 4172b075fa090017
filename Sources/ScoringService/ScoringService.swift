@main
struct ScoringServiceMain {
    static func main() {}
}
