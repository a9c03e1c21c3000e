/*
 * SHA-256 from mbedTLS, which may use a hardware unit:
 *
 *     cc -DCS_SHA256_PORT='"ports/mbedtls_sha256.h"' -c countersign.c
 *
 * A port provides `struct cs_sha256` and these three functions. Each hash that was begun is ended.
 * A hash that fails must never look like one that was computed, so then the program ends.
 */
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>
#include <stdlib.h>

#if MBEDTLS_VERSION_MAJOR < 3
#define mbedtls_sha256_starts mbedtls_sha256_starts_ret
#define mbedtls_sha256_update mbedtls_sha256_update_ret
#define mbedtls_sha256_finish mbedtls_sha256_finish_ret
#endif

struct cs_sha256 {
    mbedtls_sha256_context context;
};

static void cs_sha256_check(int error)
{
    if (error != 0)
        abort();
}

static void cs_sha256_init(struct cs_sha256 *hash)
{
    mbedtls_sha256_init(&hash->context);
    cs_sha256_check(mbedtls_sha256_starts(&hash->context, 0));
}

static void cs_sha256_update(struct cs_sha256 *hash, const uint8_t *data, size_t length)
{
    cs_sha256_check(mbedtls_sha256_update(&hash->context, data, length));
}

static void cs_sha256_final(struct cs_sha256 *hash, uint8_t digest[32])
{
    cs_sha256_check(mbedtls_sha256_finish(&hash->context, digest));
    mbedtls_sha256_free(&hash->context);
}
