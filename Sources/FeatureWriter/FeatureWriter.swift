@main
struct FeatureWriterMain {
    static func main() {}
}
