import Glibc
import Synchronization

/// What run.sh tries a sanitizer on before it believes it: `race`, `copy` (a race inside memcpy) and `overflow` must be reported, `mutex` must not.
@main
struct Probe {
    static func main() {
        if CommandLine.arguments.last == "overflow" {
            let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 8)
            bytes[Int(CommandLine.argc) + 6] = 1  // one beyond the end
            return
        }
        let threads = (0..<4).map { _ in
            var thread = pthread_t()
            pthread_create(&thread, nil, body, nil)
            return thread
        }
        for thread in threads { pthread_join(thread, nil) }
    }
}

private struct Guarded: Sendable {
    var count = 0
    var list: [Int] = []
}

private let guarded = Mutex(Guarded())
nonisolated(unsafe) private let bytes = UnsafeMutableRawPointer.allocate(byteCount: 4_096, alignment: 8)

private func body(_: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    for round in 0..<200 {
        switch CommandLine.arguments.last {
        case "race": bytes.storeBytes(of: round, as: Int.self)
        case "copy": memcpy(bytes, bytes + 2_048, round + 8)
        default:
            guarded.withLock {
                $0.count += 1
                usleep(100)  // so that the others wait
                $0.list.append(round)
            }
        }
    }
    return nil
}
