import Contracts
import TestSupport
import Testing
import YAMLReader

@Suite struct ServiceCatalogTests {
    @Test("the services are those of services/catalog.yaml, field by field") func equalsTheFile() throws {
        let file = try YAMLNode.load(repository + "/services/catalog.yaml")
        let listed = try file.mapping().required("services").sequence().map { try Listed($0.mapping()) }
        #expect(listed == ServiceCatalog.services.map(Listed.init))
        #expect(!listed.isEmpty)
    }

    @Test("each service reads and writes topics that there are") func topics() {
        let known = Topics(useCase: "any").all
        for service in ServiceCatalog.services {
            for topic in service.reads + service.writes { #expect(known.contains("any." + topic), "\(service.name): \(topic)") }
        }
    }

    @Test("names and ports occur once") func unique() {
        let services = ServiceCatalog.services
        #expect(Set(services.map(\.name)).count == services.count)
        #expect(Set(services.map(\.port)).count == services.count)
    }
}

private struct Listed: Equatable {
    let name: String
    let port: Int
    let reads: [String]
    let writes: [String]
    let isStateful: Bool
    let scales: Bool

    init(_ service: ServiceCatalog.Service) {
        (name, port, reads, writes) = (service.name, Int(service.port), service.reads, service.writes)
        (isStateful, scales) = (service.isStateful, service.scales)
    }

    init(_ entry: YAMLMapping) throws {
        name = try entry.required("name").string()
        port = try entry.required("port").int()
        reads = try entry.required("reads").strings()
        writes = try entry.required("writes").strings()
        isStateful = try entry.required("stateful").bool()
        scales = try entry.required("scales").bool()
    }
}
