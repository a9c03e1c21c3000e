/* An exception in a service closes its connection alone, and no state is lost. */
#include <countersign_host.hpp>

#include <cstdio>
#include <cstdlib>
#include <thread>

using namespace countersign;

namespace {

const std::string FILE_OF_KEYS = "garden  hex:00112233445566778899aabbccddeeff\n";

int states = 0;

struct State {
    State() { states++; }
    State(State &&) { states++; }
    ~State() { states--; }
};

class Thrower : public service<State> {
public:
    State opened(const cs_peer *, reply &) override
    {
        if (++connections == 2)
            throw std::runtime_error("opened");
        return State();
    }

    void message(State &, std::string_view message, reply &reply) override
    {
        if (message == "throw")
            throw std::runtime_error("message");
        reply.message(message);
    }

    void closed(State &, std::string_view, bool) override { throw 1; }

    void failed(std::exception_ptr) noexcept override { failures++; }

    int connections = 0;
    int failures = 0;
};

session_config configured()
{
    auto config = make<session_config>(cs_session_config_new);
    auto ring = make<keys>(cs_keys_from_text,
                           reinterpret_cast<const std::uint8_t *>(FILE_OF_KEYS.data()),
                           FILE_OF_KEYS.size());
    call(cs_session_config_set_keys, config.get(), ring.get());
    return config;
}

client connect_to(const std::string &address)
{
    auto config = configured();
    return make<client>(cs_client_connect, address.c_str(), config.get(), 60000);
}

cs_status ask(const client &client, std::string_view text)
{
    const std::uint8_t *reply;
    std::size_t length;
    return cs_client_ask(client.get(), reinterpret_cast<const std::uint8_t *>(text.data()),
                         text.size(), &reply, &length, nullptr);
}

void must(bool condition, const char *what)
{
    if (condition)
        return;
    std::fprintf(stderr, "exception: not so: %s\n", what);
    std::exit(1);
}

} // namespace

int main()
{
    Thrower thrower;
    auto config = configured();
    auto place = make<listener>(cs_listener_new, config.get());
    call(cs_listener_add_address, place.get(), "127.0.0.1:0");
    {
        server server({place.get()}, thrower);
        const auto address = server.address();
        const auto control = server.control();
        std::thread serving([&] {
            while (!server.is_finished())
                server.turn(-1);
        });
        const auto good = connect_to(address);
        must(ask(good, "one") == CS_ERR_NONE, "a good connection is served");
        const auto second = connect_to(address);
        must(ask(second, "one") != CS_ERR_NONE, "opened has thrown, so it is closed");
        const auto third = connect_to(address);
        must(ask(third, "throw") != CS_ERR_NONE, "message has thrown, so it is closed");
        must(ask(good, "two") == CS_ERR_NONE, "the good connection is served as before");
        call(cs_handle_stop, control.get());
        serving.join();
    }
    must(thrower.connections == 3 && thrower.failures == 4, "all exceptions were handed over");
    must(states == 0, "no state was lost");
    try {
        make<keys>(cs_keys_from_file, "/nowhere");
        must(false, "an error is an exception");
    } catch (const error &why) {
        must(why.status == CS_ERR_KEYS && std::string(why.what()).find("/nowhere") == 0, "why");
    }
    std::printf("all of it holds\n");
}
