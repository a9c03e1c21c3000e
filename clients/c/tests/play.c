/*
 * Plays sessions: each line of the input sets up one end and says what arrives. See lines.py.
 *
 *     play           compares each outcome with the one in its line, however the input is cut
 *     play --quick   the same with fewer cuts
 *     play --print   prints each outcome instead, with the input cut as the line says; an empty
 *                    line asks for all that was printed
 *
 * A line has these words. Bytes are hexadecimal digits, `.` if there are none; lists are joined by
 * commas, `-` if they are empty.
 *
 *     role       client, server, raw-client or raw-server
 *     records    sealed, required, allowed or off
 *     instance, decoy, random
 *     in_size    the size of the input buffer
 *     keys       id:audience:secret of each key
 *     say        messages that are sent together as soon as the handshake is over
 *     closes     first (after those), answer (the other end's close) or never
 *     echo       yes: each message is sent back
 *     plain      lines or length: how messages are told apart without records
 *     then       eof, timeout or busy: what follows the input, or -
 *     in         what arrives, in pieces
 *
 * and, if outcomes are compared, also:
 *
 *     outcome    as in the vectors
 *     out        all that was sent
 *     messages   all that was received
 *     secret     what is derived from the label "label"
 *     name       of the case
 */
#include "../countersign.h"
#include "split.h"

#ifdef PLAY_PSA
#include <psa/crypto.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 8, ITEMS = 200, LINE = 1 << 16, IN = 1 << 17, OUT = 1 << 15, SENT = 1 << 16 };

/* Where there are no arguments. */
#ifndef PLAY_QUICK
#define PLAY_QUICK 0
#endif

struct line {
    const char *role, *records, *closes, *echo, *plain, *then, *outcome, *name;
    size_t in_size;
    struct cs_bytes instance, decoy, random, out, secret;
    struct cs_key keys[KEYS];
    struct cs_bytes say[ITEMS], in[ITEMS], messages[ITEMS];
    size_t key_count, say_count, in_count, message_count;
};

/* What becomes of a session. */
struct played {
    const char *outcome;
    int is_open;
    int is_closed;
    int has_records;
    size_t sent_length;
    size_t text_length;    /* Of what was received: each message, and a zero behind it. */
    size_t received;       /* How many messages. */
    size_t partial_length; /* Of a message without records that is not complete. */
};

static char text[LINE];
static uint8_t bytes[LINE], out[OUT], sent[SENT], heard[SENT], partial[SENT];
static size_t lengths[SENT / 4];
static uint8_t *in;
static size_t bytes_used;

static void die(const char *why)
{
    fprintf(stderr, "play: %s\n", why);
    exit(2);
}

/* Reading a line. */

static char *word(char **rest)
{
    char *start = *rest, *end = start + strcspn(start, " \n");

    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return start;
}

/* Many thousand digits a line: scanf would take most of the time. */
static unsigned digit(char c)
{
    if ('0' <= c && c <= '9')
        return (unsigned)(c - '0');
    if ('a' <= c && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    die("not hexadecimal");
    return 0;
}

static struct cs_bytes unhex(const char *digits, size_t length)
{
    struct cs_bytes result = { bytes + bytes_used, 0 };
    size_t i;

    if (length == 1)
        return result;
    for (i = 0; i + 1 < length; i += 2)
        bytes[bytes_used++] = (uint8_t)(digit(digits[i]) << 4 | digit(digits[i + 1]));
    result.length = length / 2;
    return result;
}

static struct cs_bytes unhex_word(char **rest)
{
    const char *digits = word(rest);

    return unhex(digits, strlen(digits));
}

static size_t unhex_list(const char *list, struct cs_bytes items[ITEMS])
{
    size_t count = 0, n;

    if (strcmp(list, "-") == 0)
        return 0;
    for (;; list += n + 1) {
        n = strcspn(list, ",");
        if (count == ITEMS)
            die("too many items");
        items[count++] = unhex(list, n);
        if (list[n] == '\0')
            return count;
    }
}

static size_t read_keys(char *list, struct cs_key keys[KEYS])
{
    size_t count = 0, n;
    struct cs_bytes *field;

    for (;; count++) {
        for (field = &keys[count].id; field <= &keys[count].secret; field++) {
            n = strcspn(list, ":,");
            *field = unhex(list, n);
            list += n + (list[n] != '\0');
        }
        cs_key_init(&keys[count]);
        if (*list == '\0')
            return count + 1;
    }
}

static void read_line(char *rest, struct line *line)
{
    bytes_used = 0;
    line->role = word(&rest);
    line->records = word(&rest);
    line->instance = unhex_word(&rest);
    line->decoy = unhex_word(&rest);
    line->random = unhex_word(&rest);
    line->in_size = (size_t)atol(word(&rest));
    line->key_count = read_keys(word(&rest), line->keys);
    line->say_count = unhex_list(word(&rest), line->say);
    line->closes = word(&rest);
    line->echo = word(&rest);
    line->plain = word(&rest);
    line->then = word(&rest);
    line->in_count = unhex_list(word(&rest), line->in);
    line->outcome = word(&rest);
    line->out = unhex_word(&rest);
    line->message_count = unhex_list(word(&rest), line->messages);
    line->secret = unhex_word(&rest);
    line->name = word(&rest);
}

/* Playing it. */

static void configure(const struct line *line, struct cs_config *config)
{
    memset(config, 0, sizeof *config);
    config->keys = line->keys;
    config->key_count = line->key_count;
    memcpy(config->instance, line->instance.data, line->instance.length);
    memcpy(config->decoy, line->decoy.data, line->decoy.length);
    config->records = strcmp(line->records, "allowed") == 0 ? CS_ALLOWED
        : strcmp(line->records, "off") == 0 ? CS_OFF : CS_REQUIRED;
    if (strcmp(line->records, "sealed") == 0) {
#ifdef CS_SEAL
        config->records = CS_SEALED;
#else
        die("built without CS_SEAL");
#endif
    }
}

static void start(const struct line *line, struct cs_session *cs, const struct cs_config *config)
{
    const uint8_t *random = line->random.data;

    if (line->in_size > IN)
        die("the input buffer is too small");
    if (strcmp(line->role, "client") == 0)
        cs_client(cs, config, random, in, line->in_size, out, sizeof out);
    else if (strcmp(line->role, "server") == 0)
        cs_server(cs, config, random, in, line->in_size, out, sizeof out);
#ifdef CS_RAW
    else if (strcmp(line->role, "raw-client") == 0)
        cs_raw_client(cs, config, in, line->in_size, out, sizeof out);
    else if (strcmp(line->role, "raw-server") == 0)
        cs_raw_server(cs, config, random, in, line->in_size, out, sizeof out);
#endif
    else
        die("no such role");
}

static void flush(struct cs_session *cs, struct played *played)
{
    struct cs_bytes output = cs_output(cs);

    if (output.length > SENT - played->sent_length)
        die("too much is sent");
    memcpy(sent + played->sent_length, output.data, output.length);
    played->sent_length += output.length;
}

static void say(struct cs_session *cs, struct played *played, const struct cs_bytes *message)
{
    enum cs_error error = cs_send(cs, message->data, message->length);

    if (error == CS_NO_ROOM) {
        flush(cs, played);
        error = cs_send(cs, message->data, message->length);
    }
    if (error != CS_OK && error != CS_TOO_LONG && error != CS_NOT_OPEN)
        die("a message can't be sent");
}

static void finish(struct cs_session *cs)
{
    if (cs_finish(cs) != CS_OK)
        die("no room to finish");
}

static void deliver(struct played *played, const uint8_t *data, size_t length)
{
    if (length > SENT - played->text_length)
        die("too much is received");
    if (length > 0)
        memcpy(heard + played->text_length, data, length);
    played->text_length += length;
    lengths[played->received++] = length;
}

/* Without records, what arrives is a piece of a stream, which is told apart here. */
static void receive_plain(const struct line *line, struct played *played, struct cs_bytes piece)
{
    int is_length = strcmp(line->plain, "length") == 0;
    struct cs_bytes message;
    size_t n, at = 0;

    memcpy(partial + played->partial_length, piece.data, piece.length);
    played->partial_length += piece.length;
    while ((n = split(is_length, partial + at, played->partial_length - at, &message)) > 0) {
        deliver(played, message.data, message.length);
        at += n;
    }
    played->partial_length -= at;
    memmove(partial, partial + at, played->partial_length);
}

static void receive(const struct line *line, struct cs_session *cs, struct played *played)
{
    struct cs_bytes message = cs->message;

    if (!cs->has_records) {
        receive_plain(line, played, message);
        return;
    }
    deliver(played, message.data, message.length);
    if (strcmp(line->echo, "yes") == 0) {
        flush(cs, played);
        say(cs, played, &message);
    }
}

static void opened(const struct line *line, struct cs_session *cs, struct played *played)
{
    uint8_t secret[32];
    size_t i;

    played->is_open = 1;
    played->has_records = cs->has_records;
    cs_secret(cs, "label", 5, secret);
    if (line->secret.length > 0 && memcmp(secret, line->secret.data, sizeof secret) != 0)
        die("another secret is derived");
    for (i = 0; i < line->say_count; i++)
        say(cs, played, &line->say[i]);
    if (strcmp(line->closes, "first") == 0)
        finish(cs);
}

static const char *failure(const struct cs_session *cs, const struct played *played, int is_server)
{
    static const char *const refusals[] = { "refused:unknown", "refused:version",
        "refused:refused", "refused:busy", "refused:malformed", "refused:timeout" };

    switch (cs->error) {
    case CS_FOREIGN:
    case CS_REFLECTED:
        return "silent";
    case CS_REFUSED:
        return refusals[cs->refusal < 6 ? cs->refusal : 0];
    case CS_TRUNCATED:
        return "truncated";
    case CS_VERSION:
        return is_server ? "refused:version" : "violation";
    case CS_MALFORMED:
        return is_server ? "refused:malformed" : "violation";
    case CS_NO_KEY:
    case CS_PROTECTION:
        return is_server ? "refused:refused" : "violation";
    case CS_BAD_PROOF:
        return is_server ? "refused:refused" : played->is_open ? "violation" : "unproved";
    default:
        return "violation";
    }
}

static int is_server(const struct line *line)
{
    return strstr(line->role, "server") != NULL;
}

static void hear(const struct line *line, struct cs_session *cs, struct played *played,
                 struct cs_bytes input)
{
    enum cs_event event;

    while ((event = cs_input(cs, &input)) != CS_WAIT) {
        switch (event) {
        case CS_OPEN:
            flush(cs, played);
            opened(line, cs, played);
            break;
        case CS_MESSAGE:
            receive(line, cs, played);
            break;
        case CS_CLOSED:
            played->is_closed = strcmp(line->closes, "never") != 0;
            if (played->is_closed)
                finish(cs);
            break;
        case CS_FULL:
            break;
        default:
            played->outcome = failure(cs, played, is_server(line));
            flush(cs, played);
            return;
        }
        flush(cs, played);
    }
    flush(cs, played);
}

/* What follows the input. */
static void end(const struct line *line, struct cs_session *cs, struct played *played)
{
    size_t before = played->sent_length;

    if (played->outcome != NULL)
        return;
    if (strcmp(line->then, "eof") == 0) {
        if (cs_ended(cs) == CS_FAILED)
            played->outcome = failure(cs, played, is_server(line));
    } else if (strcmp(line->then, "-") != 0) {
        int is_busy = strcmp(line->then, "busy") == 0;
        cs_refuse(cs, is_busy ? CS_REFUSE_BUSY : CS_REFUSE_TIMEOUT);
        flush(cs, played);
        played->outcome = is_busy ? "refused:busy"
            : played->sent_length > before ? "refused:timeout" : "timeout";
    }
    if (played->outcome == NULL)
        played->outcome = played->is_closed ? "closed" : played->is_open ? "open" : "waiting";
}

static void play(const struct line *line, const struct cs_bytes *pieces, size_t count,
                 struct played *played)
{
    static const struct cs_bytes nothing = { NULL, 0 };
    struct cs_session cs;
    struct cs_config config;
    size_t i;

    memset(played, 0, sizeof *played);
    configure(line, &config);
    start(line, &cs, &config);
    hear(line, &cs, played, nothing);
    for (i = 0; i < count; i++) {
        if (played->outcome == NULL)
            hear(line, &cs, played, pieces[i]);
    }
    end(line, &cs, played);
    cs_wipe(&cs, sizeof cs);
}

/* Comparing it. */

static void print_hex(const uint8_t *data, size_t length)
{
    static const char digits[] = "0123456789abcdef";

    for (; length > 0; data++, length--) {
        putchar(digits[*data >> 4]);
        putchar(digits[*data & 15]);
    }
}

static void dump(const char *what, const uint8_t *data, size_t length)
{
    printf("%s", what);
    print_hex(data, length);
    printf("\n");
}

static int is_expected(const struct line *line, const struct played *played)
{
    const uint8_t *at = heard;
    size_t i;

    if (strcmp(played->outcome, line->outcome) != 0)
        return 0;
    if (played->sent_length != line->out.length
        || memcmp(sent, line->out.data, line->out.length) != 0)
        return 0;
    if (played->received != line->message_count)
        return 0;
    for (i = 0; i < line->message_count; at += lengths[i++]) {
        if (lengths[i] != line->messages[i].length
            || memcmp(at, line->messages[i].data, lengths[i]) != 0)
            return 0;
    }
    return 1;
}

static size_t plays;

static void check(const struct line *line, const struct cs_bytes *pieces, size_t count,
                  const char *cut, size_t at)
{
    struct played played;

    play(line, pieces, count, &played);
    plays++;
    if (is_expected(line, &played))
        return;
    printf("%s %s, %s %u: %s instead of %s, %u messages\n", line->role, line->name, cut,
           (unsigned)at, played.outcome, line->outcome, (unsigned)played.received);
    dump("sent      ", sent, played.sent_length);
    dump("should be ", line->out.data, line->out.length);
    exit(1);
}

/* Cuts at places that depend on the number alone. */
static void check_random_cuts(const struct line *line, struct cs_bytes whole, uint32_t number)
{
    static struct cs_bytes pieces[LINE / 2];
    uint32_t random = number;
    size_t count = 0, at = 0, n;

    while (at < whole.length) {
        random = random * 1664525 + 1013904223;
        n = random >> 27;
        n = n < whole.length - at ? n : whole.length - at;
        pieces[count].data = whole.data + at;
        pieces[count++].length = n;
        at += n;
    }
    check(line, pieces, count, "cut at random", number);
}

/* In records, the end of the stream is truncated wherever it comes before the close record. */
static void check_ends(const struct line *line, struct cs_bytes whole, size_t step)
{
    struct line ending = *line;
    struct cs_bytes front = whole;
    struct played played;
    size_t i;

    play(line, &whole, 1, &played);
    if (!played.has_records || (strcmp(line->outcome, "open") && strcmp(line->outcome, "closed")))
        return;
    ending.then = "eof";
    ending.outcome = "truncated";
    for (i = 0; i < whole.length; i += step) {
        front.length = i;
        play(&ending, &front, 1, &played);
        plays++;
        if (strcmp(played.outcome, ending.outcome) == 0 && played.received <= line->message_count)
            continue;
        printf("%s %s, ends at %u: %s, %u messages\n", line->role, line->name, (unsigned)i,
               played.outcome, (unsigned)played.received);
        exit(1);
    }
}

/* However the input is cut, the same must come of it. */
static void check_cuts(const struct line *line, int is_quick)
{
    static struct cs_bytes pieces[LINE / 2];
    struct cs_bytes whole = { bytes, 0 };
    size_t i;

    check(line, line->in, line->in_count, "as it is", 0);
    /* The pieces lie one behind the other. */
    if (line->in_count > 0)
        whole.data = line->in[0].data;
    for (i = 0; i < line->in_count; i++)
        whole.length += line->in[i].length;
    for (i = 0; i < whole.length; i++) {
        pieces[i].data = whole.data + i;
        pieces[i].length = 1;
    }
    check(line, pieces, whole.length, "byte by byte", 0);
    for (i = 0; i <= whole.length && !is_quick; i++) {
        pieces[0].data = whole.data;
        pieces[0].length = i;
        pieces[1].data = whole.data + i;
        pieces[1].length = whole.length - i;
        check(line, pieces, 2, "cut at", i);
    }
    for (i = 0; i < (is_quick ? 4 : 20); i++)
        check_random_cuts(line, whole, (uint32_t)i);
    check_ends(line, whole, is_quick ? 97 : 1);
}

static void print(const struct line *line)
{
    struct played played;
    const uint8_t *at = heard;
    size_t i;

    play(line, line->in, line->in_count, &played);
    printf("%s ", played.outcome);
    print_hex(sent, played.sent_length);
    printf(" ");
    for (i = 0; i < played.received; at += lengths[i++]) {
        print_hex(at, lengths[i]);
        printf(",");
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    static struct line line;
    size_t cases = 0;
    int prints = argc > 1 && strcmp(argv[1], "--print") == 0;
    int is_quick = argc > 1 ? strcmp(argv[1], "--quick") == 0 : PLAY_QUICK;

#ifdef PLAY_PSA
    if (psa_crypto_init() != PSA_SUCCESS)
        die("PSA can't be used");
#endif
    in = malloc(IN);
    if (in == NULL)
        die("no memory");
    for (; fgets(text, sizeof text, stdin) != NULL; cases++) {
        if (text[0] == '\n') {
            fflush(stdout);
            continue;
        }
        memset(&line, 0, sizeof line);
        read_line(text, &line);
        if (prints)
            print(&line);
        else
            check_cuts(&line, is_quick);
    }
    if (!prints)
        printf("%u cases, %u plays\n", (unsigned)cases, (unsigned)plays);
    free(in);
    return cases == 0;
}
