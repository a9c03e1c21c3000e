/* How messages are told apart without records, for the tests. */
#ifndef SPLIT_H
#define SPLIT_H

#include "../countersign.h"

#include <string.h>

/* The first message in a stream of lines or of length frames. Returns its length with its frame, or
 * 0 if it is not complete. */
static inline size_t split(int is_length, const uint8_t *data, size_t length,
                           struct cs_bytes *message)
{
    const uint8_t *end = length > 0 ? (const uint8_t *)memchr(data, '\n', length) : NULL;

    if (is_length) {
        if (length < 4)
            return 0;
        message->data = data + 4;
        message->length = (size_t)data[2] << 8 | data[3];
        return message->length <= length - 4 ? 4 + message->length : 0;
    }
    if (end == NULL)
        return 0;
    message->data = data;
    message->length = (size_t)(end - data);
    if (message->length > 0 && end[-1] == '\r')
        message->length--;
    return (size_t)(end - data) + 1;
}

#endif
