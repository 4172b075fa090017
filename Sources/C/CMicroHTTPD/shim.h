#pragma once
#include <microhttpd.h>

// Swift cannot import variadic functions; these are the calls of the server with their C types.

struct vyuha_mhd_settings {
    int listen_socket;
    unsigned int threads;
    unsigned int connection_limit;
    unsigned int idle_timeout_seconds;
    size_t connection_memory;
};

// Poll mode, not epoll: libmicrohttpd 0.9.75 stalls in epoll mode at 128 connections. A pool of one thread is refused, so that
// option appears only for more.
#define VYUHA_MHD_FLAGS (MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME)
#define VYUHA_MHD_OPTIONS                                                                                                    \
    MHD_OPTION_LISTEN_SOCKET, settings.listen_socket, MHD_OPTION_NOTIFY_COMPLETED, completed, context,                       \
        MHD_OPTION_NOTIFY_CONNECTION, connection, context, MHD_OPTION_CONNECTION_LIMIT, settings.connection_limit,           \
        MHD_OPTION_CONNECTION_TIMEOUT, settings.idle_timeout_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT,                    \
        settings.connection_memory, settings.threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, settings.threads,   \
        MHD_OPTION_END

static inline struct MHD_Daemon *vyuha_mhd_start(struct vyuha_mhd_settings settings, MHD_AccessHandlerCallback handler,
                                                 MHD_RequestCompletedCallback completed, MHD_NotifyConnectionCallback connection,
                                                 void *context) {
    return MHD_start_daemon(VYUHA_MHD_FLAGS, 0, NULL, NULL, handler, context, VYUHA_MHD_OPTIONS);
}
/// The same with TLS 1.2 and 1.3; certificate and key are PEM text that is read during this call.
static inline struct MHD_Daemon *vyuha_mhd_start_tls(struct vyuha_mhd_settings settings, MHD_AccessHandlerCallback handler,
                                                     MHD_RequestCompletedCallback completed,
                                                     MHD_NotifyConnectionCallback connection, void *context,
                                                     const char *certificate, const char *key) {
    return MHD_start_daemon(VYUHA_MHD_FLAGS | MHD_USE_TLS, 0, NULL, NULL, handler, context,
                            MHD_OPTION_HTTPS_MEM_CERT, certificate, MHD_OPTION_HTTPS_MEM_KEY, key,
                            MHD_OPTION_HTTPS_PRIORITIES, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", VYUHA_MHD_OPTIONS);
}
#undef VYUHA_MHD_OPTIONS
#undef VYUHA_MHD_FLAGS
/// Gives an upgraded connection back to the daemon, which closes it.
static inline void vyuha_mhd_close_upgraded(struct MHD_UpgradeResponseHandle *handle) {
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}
/// What was stored when the connection was accepted; NULL before.
static inline void *vyuha_mhd_socket_context(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}
/// The descriptor of the connection; -1 where there is none.
static inline int vyuha_mhd_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}
