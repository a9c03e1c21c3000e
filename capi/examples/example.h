/* What the examples in C share: how they fail, and reading keys. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <countersign_host.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program if a call has failed, with one line that says why. */
static void check(const char *program, enum cs_status status, const struct cs_failure *why)
{
    if (status == CS_ERR_NONE)
        return;
    fprintf(stderr, "%s: %s\n", program, why->message);
    exit(1);
}

/* A configuration for countersign/1 with the keys of a file. */
static struct cs_session_config *read_config(const char *program, const char *path)
{
    struct cs_failure why;
    struct cs_keys *keys;
    struct cs_session_config *config;

    check(program, cs_keys_from_file(path, &keys, &why), &why);
    check(program, cs_session_config_new(&config, &why), &why);
    check(program, cs_session_config_set_keys(config, keys, &why), &why);
    cs_keys_free(keys);
    return config;
}

#endif
