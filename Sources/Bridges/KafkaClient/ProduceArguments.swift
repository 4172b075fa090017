import CRDKafka

/// The argument list of `rd_kafka_produceva`, filled anew for each record in the same memory: what every record has stands first, in fixed
/// places, then its key, timestamp and headers.
struct ProduceArguments {
    private var list: [rd_kafka_vu_t]
    private static let fixed = 5

    init(ticket: DeliveryTicket) {
        func argument(_ type: rd_kafka_vtype_t) -> rd_kafka_vu_t {
            var argument = rd_kafka_vu_t()
            argument.vtype = type
            return argument
        }
        list = [
            argument(RD_KAFKA_VTYPE_MSGFLAGS), argument(RD_KAFKA_VTYPE_OPAQUE), argument(RD_KAFKA_VTYPE_RKT), argument(RD_KAFKA_VTYPE_PARTITION),
            argument(RD_KAFKA_VTYPE_VALUE),
        ]
        list.reserveCapacity(16)
        list[0].u.i = RD_KAFKA_MSG_F_COPY
        list[1].u.ptr = UnsafeMutableRawPointer(bitPattern: UInt(ticket.number))
    }

    /// - Parameter bytes: the batch's arena; must stay where it is until `produce` has returned.
    mutating func set(
        _ record: OutgoingBatch.Record, _ headers: [OutgoingBatch.Header], _ bytes: UnsafeRawBufferPointer, topic: OpaquePointer
    ) {
        if list.count > Self.fixed { list.removeLast(list.count - Self.fixed) }
        list.withUnsafeMutableBufferPointer { list in
            list[2].u.rkt = topic
            list[3].u.i32 = record.partition
            // Without a value it is a tombstone.
            list[4].u.mem.ptr = record.value.flatMap { Self.pointer(bytes, $0) }
            list[4].u.mem.size = record.value?.count ?? 0
        }
        if let key = record.key {
            add(RD_KAFKA_VTYPE_KEY) {
                $0.mem.ptr = Self.pointer(bytes, key)
                $0.mem.size = key.count
            }
        }
        if record.timestamp != 0 { add(RD_KAFKA_VTYPE_TIMESTAMP) { $0.i64 = record.timestamp } }
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
