/// The stage `rate cap`: a fuse against floods, which says when it blows and what it held back.
extension AlertEngine {
    /// Whether the message may be told in this hour; if not, its group waits for the next.
    func rateCap(_ group: inout AlertGroup, _ now: Int64, _ book: inout AlertBook) -> Bool {
        let hour = now / 3_600_000
        if book.fuse.hour != hour { closeHour(now, &book) }
        book.fuse.hour = hour
        book.fuse.isChanged = true
        if book.fuse.told < Int64(policy.capPerHour) {
            book.fuse.told += 1
            return true
        }
        book.fuse.held += 1
        group.heldUntil = book.fuse.end
        group.isChanged = true
        if book.fuse.held == 1 {
            book.fuse.example = group
            tellOfFuse(.capped, now, &book)
        }
        return false
    }

    /// Tells what the hour held back, and begins another.
    func closeHour(_ now: Int64, _ book: inout AlertBook) {
        guard book.fuse.hour < now / 3_600_000 else { return }
        if book.fuse.held > 0 { tellOfFuse(.heldBack, now, &book) }
        let version = book.fuse.version
        book.fuse = Fuse()
        book.fuse.version = version
        book.fuse.hour = now / 3_600_000
        book.fuse.isChanged = true
    }

    private func tellOfFuse(_ occasion: Occasion, _ now: Int64, _ book: inout AlertBook) {
        guard var group = book.fuse.example else { return }
        group.alertID = "cap-\(book.fuse.hour)"
        group.sequence = occasion == .capped ? 1 : 2
        var notice = Notice(occasion: occasion, group: group, at: now, to: [Self.everyone])
        notice.held = Int(book.fuse.held)
        book.notices.append(notice)
    }
}
