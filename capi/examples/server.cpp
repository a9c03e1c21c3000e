/*
 * A server inside a host's own poll loop, in C++17: each message is sent back.
 *
 *     server ADDRESS KEYFILE
 *
 * SIGHUP reads the keys again; SIGTERM answers what has arrived, and ends.
 */
#include <countersign_host.hpp>

#include <csignal>
#include <cstdio>
#include <initializer_list>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

using namespace countersign;

namespace {

/* What the host keeps of each connection. */
struct Connection {
    std::string key;
    unsigned long messages = 0;
};

class Echo : public service<Connection> {
public:
    Connection opened(const cs_peer *peer, reply &) override { return {cs_peer_key(peer)}; }

    void message(Connection &connection, std::string_view message, reply &reply) override
    {
        connection.messages++;
        reply.message(message);
    }

    void closed(Connection &connection, std::string_view reason, bool) override
    {
        std::fprintf(stderr, "server: %s: %s after %lu messages\n", connection.key.c_str(),
                     reason.data(), connection.messages);
    }
};

listener listen_at(const char *address, const char *path)
{
    auto config = make<session_config>(cs_session_config_new);
    auto ring = make<keys>(cs_keys_from_file, path);
    call(cs_session_config_set_keys, config.get(), ring.get());
    auto made = make<listener>(cs_listener_new, config.get());
    call(cs_listener_add_address, made.get(), address);
    return made;
}

/* If the new keys can't be read, the old ones stay. */
void reload(server &server, const char *path)
try {
    auto ring = make<keys>(cs_keys_from_file, path);
    call(cs_server_replace_keys, server.get(), 0, ring.get());
    call(cs_server_close_revoked, server.get(), nullptr);
} catch (const error &why) {
    std::fprintf(stderr, "server: the keys stay as they are: %s\n", why.what());
}

/* Signals as a descriptor, which the loop watches. */
int watch(std::initializer_list<int> signals)
{
    sigset_t set;
    sigemptyset(&set);
    for (int each : signals)
        sigaddset(&set, each);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

void serve(const char *address, const char *path)
{
    Echo echo;
    server server({listen_at(address, path).get()}, echo);
    auto control = server.control();
    pollfd polled[] = {{server.fd(), POLLIN, 0}, {watch({SIGHUP, SIGTERM}), POLLIN, 0}};
    std::printf("listening on %s\n", server.address().c_str());
    std::fflush(stdout);

    while (!server.is_finished()) {
        if (poll(polled, 2, server.deadline()) < 0)
            continue;
        signalfd_siginfo signal;
        if (polled[1].revents && read(polled[1].fd, &signal, sizeof signal) == sizeof signal) {
            if (signal.ssi_signo == SIGHUP)
                reload(server, path);
            else
                call(cs_handle_drain, control.get());
        }
        server.turn();
    }
    close(polled[1].fd);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: server ADDRESS KEYFILE\n");
        return 2;
    }
    try {
        serve(argv[1], argv[2]);
    } catch (const std::exception &why) {
        std::fprintf(stderr, "server: %s\n", why.what());
        return 1;
    }
}
