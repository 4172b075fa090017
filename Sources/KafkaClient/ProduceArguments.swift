import CRDKafka

/// The argument list of `rd_kafka_produceva`, built anew for each record in the same memory.
struct ProduceArguments {
    private var list: [rd_kafka_vu_t] = []
    private let fixed: [rd_kafka_vu_t]

    init(ticket: DeliveryTicket) {
        var flags = rd_kafka_vu_t()
        flags.vtype = RD_KAFKA_VTYPE_MSGFLAGS
        flags.u.i = RD_KAFKA_MSG_F_COPY
        var opaque = rd_kafka_vu_t()
        opaque.vtype = RD_KAFKA_VTYPE_OPAQUE
        opaque.u.ptr = UnsafeMutableRawPointer(bitPattern: UInt(ticket.number))
        fixed = [flags, opaque]
        list.reserveCapacity(16)
    }

    /// - Parameter bytes: the batch's arena; must stay where it is until `produce` has returned.
    mutating func set(
        _ record: OutgoingBatch.Record, _ headers: [OutgoingBatch.Header], _ bytes: UnsafeRawBufferPointer, topic: OpaquePointer
    ) {
        list.removeAll(keepingCapacity: true)
        list.append(contentsOf: fixed)
        add(RD_KAFKA_VTYPE_RKT) { $0.rkt = topic }
        add(RD_KAFKA_VTYPE_PARTITION) { $0.i32 = record.partition }
        if record.timestamp != 0 { add(RD_KAFKA_VTYPE_TIMESTAMP) { $0.i64 = record.timestamp } }
        if let key = record.key {
            add(RD_KAFKA_VTYPE_KEY) {
                $0.mem.ptr = Self.pointer(bytes, key)
                $0.mem.size = key.count
            }
        }
        if let value = record.value {
            add(RD_KAFKA_VTYPE_VALUE) {
                $0.mem.ptr = Self.pointer(bytes, value)
                $0.mem.size = value.count
            }
        }
        for index in record.headers {
            let header = headers[index]
            add(RD_KAFKA_VTYPE_HEADER) {
                $0.header.name = UnsafePointer(Self.pointer(bytes, header.name)?.assumingMemoryBound(to: CChar.self))
                $0.header.val = UnsafeRawPointer(Self.pointer(bytes, header.value))
                $0.header.size = header.value.count
            }
        }
    }

    /// Queues the record; returns librdkafka's error object, which the caller frees.
    func produce(to client: OpaquePointer) -> OpaquePointer? {
        list.withUnsafeBufferPointer { rd_kafka_produceva(client, $0.baseAddress, $0.count) }
    }

    private mutating func add(_ type: rd_kafka_vtype_t, _ set: (inout rd_kafka_vu_t.__Unnamed_union_u) -> Void) {
        var argument = rd_kafka_vu_t()
        argument.vtype = type
        set(&argument.u)
        list.append(argument)
    }

    /// librdkafka takes a mutable pointer but only reads it: `RD_KAFKA_MSG_F_COPY`.
    private static func pointer(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> UnsafeMutableRawPointer? {
        bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0 + range.lowerBound) }
    }
}
