/*
 * countersign_host.h for C++17: objects that free themselves, errors as exceptions, and a service
 * as a class. The rules are those of countersign_host.h; examples/server.cpp shows it whole.
 *
 * Licensed under MIT or Apache-2.0, at your option.
 */
#ifndef COUNTERSIGN_HOST_HPP
#define COUNTERSIGN_HOST_HPP

#include <countersign_host.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace countersign {

/* A call that has failed. */
class error : public std::runtime_error {
public:
    error(cs_status code, const cs_failure &why)
        : std::runtime_error(why.message), status(code), os_error(why.os_error)
    {
    }

    const cs_status status;
    const int os_error; /* errno, or 0. */
};

/* Calls a function whose last argument is `why`. */
template <class Function, class... Arguments>
void call(Function function, Arguments... arguments)
{
    cs_failure why = {};
    const cs_status status = function(arguments..., &why);
    if (status != CS_ERR_NONE)
        throw error(status, why);
}

template <auto free_it> struct freed_by {
    template <class Object> void operator()(Object *object) const noexcept { free_it(object); }
};

using keys = std::unique_ptr<cs_keys, freed_by<cs_keys_free>>;
using session_config = std::unique_ptr<cs_session_config, freed_by<cs_session_config_free>>;
using listener = std::unique_ptr<cs_listener, freed_by<cs_listener_free>>;
using handle = std::unique_ptr<cs_handle, freed_by<cs_handle_free>>;
using client = std::unique_ptr<cs_client, freed_by<cs_client_free>>;

/* Makes an object with the function whose last arguments are where it goes, and `why`:
 *
 *     auto ring = make<keys>(cs_keys_from_file, "keys");
 */
template <class Object, class Function, class... Arguments>
Object make(Function function, Arguments... arguments)
{
    typename Object::element_type *made = nullptr;
    call(function, arguments..., &made);
    return Object(made);
}

/* What a service sends, in one of its functions. */
class reply {
public:
    explicit reply(cs_reply *raw) : raw_(raw) {}

    void message(std::string_view bytes) { cs_reply_message(raw_, data(bytes), bytes.size()); }
    void push(std::string_view part) { cs_reply_push(raw_, data(part), part.size()); }
    void end() { cs_reply_end(raw_); }
    void close() { cs_reply_close(raw_); }

private:
    static const std::uint8_t *data(std::string_view bytes)
    {
        return reinterpret_cast<const std::uint8_t *>(bytes.data());
    }

    cs_reply *raw_;
};

/*
 * A service, with a State for each connection. The functions run inside server::turn(). An
 * exception that leaves one closes the connection, and is handed to failed().
 */
template <class State> class service {
public:
    virtual ~service() = default;
    virtual State opened(const cs_peer *peer, reply &reply) = 0;
    virtual void message(State &state, std::string_view message, reply &reply) = 0;
    virtual void ended(State &, reply &) {}
    virtual void closed(State &, std::string_view /* reason */, bool /* is_refusal */) {}
    virtual void failed(std::exception_ptr) noexcept {}

    /* The functions that C calls. */
    cs_service callbacks()
    {
        cs_service callbacks = {};
        callbacks.size = sizeof callbacks;
        callbacks.user = this;
        callbacks.opened = [](void *self, const cs_peer *peer, cs_reply *raw) noexcept -> void * {
            State *state = nullptr;
            guard(self, raw, [&](service &it, reply &reply) {
                state = new State(it.opened(peer, reply));
            });
            return state;
        };
        callbacks.message = [](void *self, void *state, const std::uint8_t *data,
                               std::size_t length, cs_reply *raw) noexcept {
            const std::string_view bytes(reinterpret_cast<const char *>(data), length);
            guard(self, raw, [&](service &it, reply &reply) {
                if (state != nullptr)
                    it.message(*static_cast<State *>(state), bytes, reply);
            });
        };
        callbacks.ended = [](void *self, void *state, cs_reply *raw) noexcept {
            guard(self, raw, [&](service &it, reply &reply) {
                if (state != nullptr)
                    it.ended(*static_cast<State *>(state), reply);
            });
        };
        callbacks.closed = [](void *self, void *state, const char *reason,
                              bool is_refusal) noexcept {
            std::unique_ptr<State> owned(static_cast<State *>(state));
            guard(self, nullptr, [&](service &it, reply &) {
                if (owned)
                    it.closed(*owned, reason, is_refusal);
            });
        };
        return callbacks;
    }

private:
    template <class Act> static void guard(void *self, cs_reply *raw, Act act) noexcept
    {
        auto &it = *static_cast<service *>(self);
        reply to(raw);
        try {
            act(it, to);
        } catch (...) {
            to.close();
            it.failed(std::current_exception());
        }
    }
};

/* A server. Its service must outlive it. */
class server {
public:
    template <class State>
    server(const std::vector<const cs_listener *> &listeners, service<State> &service)
    {
        const cs_service callbacks = service.callbacks();
        cs_server *made = nullptr;
        call(cs_server_new, listeners.data(), listeners.size(), &callbacks, &made);
        raw_.reset(made);
    }

    void turn(int timeout = 0) { call(cs_server_turn, raw_.get(), timeout); }
    int fd() const { return cs_server_fd(raw_.get()); }
    int deadline() const { return cs_server_deadline(raw_.get()); }
    bool is_finished() const { return cs_server_is_finished(raw_.get()); }
    handle control() const { return make<handle>(cs_server_handle, raw_.get()); }

    std::string address(std::size_t place = 0) const
    {
        std::array<char, 256> text = {};
        if (cs_server_address(raw_.get(), place, text.data(), text.size()) != CS_ERR_NONE)
            throw std::out_of_range("there is no such address");
        return text.data();
    }

    /* For what has no function here. */
    cs_server *get() const { return raw_.get(); }

private:
    std::unique_ptr<cs_server, freed_by<cs_server_free>> raw_;
};

} // namespace countersign

#endif
