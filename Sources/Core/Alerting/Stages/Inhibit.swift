/// The stage `inhibit`: a host that is away explains all that is odd about it.
extension AlertEngine {
    /// The inhibitions that a sighting may begin, end or fall under; the store loads them by these keys.
    public func inhibitionKeys(_ sighting: Sighting) -> [String] {
        policy.inhibitions.indices.map { inhibitionKey($0, sighting) }
    }

    private func inhibitionKey(_ index: Int, _ sighting: Sighting) -> String {
        ([String(index)] + policy.inhibitions[index].equal.map { sighting.labels[$0] }).joined(separator: "\u{1F}")
    }

    func inhibit(_ sighting: Sighting, _ now: Int64, _ book: inout AlertBook) -> Fate? {
        for (index, rule) in policy.inhibitions.enumerated() {
            let key = inhibitionKey(index, sighting)
            // How urgent something was is not known from its end.
            let source = sighting.isCleared ? rule.source.without(.severity) : rule.source
            let isSource = source.matches(sighting.labels)
            if isSource {
                book.inhibitions[key] = sighting.isCleared ? now + policy.keepFiringFor : now + policy.resolveAfter
                book.changedInhibitions.insert(key)
            } else if !sighting.isCleared, let until = book.inhibitions[key], until > now, rule.target.matches(sighting.labels) {
                hold(sighting, nil, until: until, now, &book)
                return .inhibited(index)
            }
        }
        return nil
    }
}
