import RedisClient

extension RedisClient {
    /// Runs a pipeline that may be repeated, and throws where any of its replies is an error.
    func values(of pipeline: RedisPipeline) throws(RedisError) -> [RedisValue] {
        let values = try run(pipeline)
        guard values.contains(where: { $0.error != nil }) else { return values }
        // The counting form of the same call gives the reply as a typed error, with its class and whether it may pass.
        try execute(pipeline).check()
        return try run(pipeline)
    }
}
