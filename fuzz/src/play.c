/* Plays one line of input to an end in C, in this process. See clients/c/tests/play.c. */
#define main play_main
#include "../../clients/c/tests/play.c"

/* What becomes of it: as `struct played`, with what was sent and received. */
struct outcome {
    const char *name;
    const uint8_t *sent;
    size_t sent_length;
    const uint8_t *heard;
    const size_t *lengths;
    size_t received;
};

void play_line(char *rest, struct outcome *outcome)
{
    static struct line line;
    struct played played;

    if (in == NULL && (in = malloc(IN)) == NULL)
        die("no memory");
    memset(&line, 0, sizeof line);
    read_line(rest, &line);
    play(&line, line.in, line.in_count, &played);
    outcome->name = played.outcome;
    outcome->sent = sent;
    outcome->sent_length = played.sent_length;
    outcome->heard = heard;
    outcome->lengths = lengths;
    outcome->received = played.received;
}
