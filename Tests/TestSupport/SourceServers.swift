import Foundation

/// A program of Debian's as a server of a test's own, in a folder of its own; both are gone with the last reference.
public final class SourceServer {
    public let folder: URL
    public let port: Int
    private let process = Process()

    /// - Parameters:
    ///   - isPostgres: run as the user `postgres` where this is root, since PostgreSQL refuses to be root.
    fileprivate init(_ name: String, isPostgres: Bool = false) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-\(name)-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        port = try freePort()
        if isPostgres, getuid() == 0 { try SourceServer.run("/usr/bin/chown", ["postgres", folder.path]) }
    }

    deinit {
        if process.isRunning {
            kill(process.processIdentifier, SIGTERM)
            if !withDeadline(5, { !process.isRunning }) { kill(process.processIdentifier, SIGKILL) }
        }
        try? FileManager.default.removeItem(at: folder)
    }

    fileprivate func start(_ command: [String]) throws {
        process.executableURL = URL(filePath: command[0])
        process.arguments = Array(command.dropFirst())
        let log = folder.appending(path: "output.log")
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        process.standardError = try FileHandle(forWritingTo: log)
        process.standardOutput = process.standardError
        try process.run()
    }

    @discardableResult
    public static func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}

/// nginx with files of JSON, which fails one request in five where it is asked to.
public enum Nginx {
    static let path = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"].first { FileManager.default.isExecutableFile(atPath: $0) }
    public static let isMissing = path == nil

    /// - Parameter pages: contents by the value of the parameter `page`; a page that is not there is an empty list.
    public static func serve(pages: [String: String], fails: Bool = true) throws -> SourceServer {
        guard let path else { throw CocoaError(.fileNoSuchFile) }
        let server = try SourceServer("nginx")
        let files = server.folder.appending(path: "pages")
        try FileManager.default.createDirectory(at: files, withIntermediateDirectories: true)
        for (name, text) in pages { try put(text, page: name, on: server) }
        try put(#"{"data":{"items":[]}}"#, page: "none", on: server)
        let user = getuid() == 0 ? "user root;" : ""
        let configuration = """
            daemon off; worker_processes 1; \(user)
            pid \(server.folder.path)/nginx.pid;
            error_log \(server.folder.path)/error.log;
            events { worker_connections 64; }
            http {
                log_format brief '$msec $status $arg_page';
                access_log \(server.folder.path)/access.log brief;
                client_body_temp_path \(server.folder.path)/body; proxy_temp_path \(server.folder.path)/proxy;
                fastcgi_temp_path \(server.folder.path)/fastcgi; uwsgi_temp_path \(server.folder.path)/uwsgi; scgi_temp_path \(server.folder.path)/scgi;
                split_clients "$request_id" $fate { \(fails ? "8% 503; 6% 429; 6% cut; " : "")* fine; }
                server {
                    listen 127.0.0.1:\(server.port);
                    root \(files.path);
                    default_type application/json;
                    location / {
                        if ($http_authorization != "Bearer a-token-of-the-test") { return 401; }
                        if ($fate = 503) { return 503; }
                        if ($fate = 429) { add_header Retry-After 0 always; return 429; }
                        if ($fate = cut) { return 200 '{"data":{"items":[{"a":'; }
                        try_files /$arg_page.json /none.json =404;
                    }
                }
            }
            """
        let file = server.folder.appending(path: "nginx.conf")
        try configuration.write(to: file, atomically: true, encoding: .utf8)
        try server.start([path, "-c", file.path, "-e", server.folder.path + "/error.log"])
        return server
    }
}

extension Nginx {
    /// Puts a page in the place of another one of its name, as a whole.
    public static func put(_ text: String, page: String, on server: SourceServer) throws {
        try text.write(to: server.folder.appending(path: "pages/\(page).json"), atomically: true, encoding: .utf8)
    }

    /// Time (seconds), status and page of every request so far.
    public static func requests(of server: SourceServer) -> [(time: Double, status: Int, page: String)] {
        let text = (try? String(contentsOf: server.folder.appending(path: "access.log"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 3, let time = Double(words[0]), let status = Int(words[1]) else { return nil }
            return (time, status, String(words[2]))
        }
    }
}

/// A PostgreSQL server with trust for whoever reaches it.
public enum Postgres {
    static let folder = (13...18).reversed().map { "/usr/lib/postgresql/\($0)/bin" }.first {
        FileManager.default.isExecutableFile(atPath: $0 + "/postgres")
    }
    public static let isMissing = folder == nil || (getuid() == 0 && !FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv"))

    public static func start() throws -> SourceServer {
        guard let folder else { throw CocoaError(.fileNoSuchFile) }
        let server = try SourceServer("postgres", isPostgres: true)
        let data = server.folder.path + "/data"
        let asUser = getuid() == 0 ? ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : []
        let make = asUser + [folder + "/initdb", "-D", data, "-A", "trust", "-U", "vyuha", "--no-sync"]
        let made = try SourceServer.run(make[0], Array(make.dropFirst()))
        guard made.status == 0 else { throw CocoaError(.executableLoad, userInfo: [NSDebugDescriptionErrorKey: made.output]) }
        try server.start(
            asUser + [
                folder + "/postgres", "-D", data, "-p", "\(server.port)", "-k", data, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
                "-c", "max_connections=10",
            ])
        return server
    }

    /// Runs statements by `psql`.
    /// - Returns: its status, 0 where all went well.
    @discardableResult
    public static func run(_ sql: String, on server: SourceServer) throws -> Int32 {
        try SourceServer.run((folder ?? "") + "/psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", address(of: server), "-c", sql]).status
    }

    public static func address(of server: SourceServer) -> String { "host=127.0.0.1 port=\(server.port) user=vyuha dbname=postgres" }
}
