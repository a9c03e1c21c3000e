/*
 * SHA-256 from the PSA Crypto API, as Zephyr, TF-M and mbedTLS have it. Call psa_crypto_init()
 * before anything else.
 *
 *     cc -DCS_SHA256_PORT='"ports/psa_sha256.h"' -c countersign.c
 *
 * See mbedtls_sha256.h for what a port must do.
 */
#include <psa/crypto.h>
#include <stdlib.h>
#include <string.h>

struct cs_sha256 {
    psa_hash_operation_t operation;
};

static void cs_sha256_check(psa_status_t status)
{
    if (status != PSA_SUCCESS)
        abort();
}

static void cs_sha256_init(struct cs_sha256 *hash)
{
    memset(hash, 0, sizeof *hash);
    cs_sha256_check(psa_hash_setup(&hash->operation, PSA_ALG_SHA_256));
}

static void cs_sha256_update(struct cs_sha256 *hash, const uint8_t *data, size_t length)
{
    cs_sha256_check(psa_hash_update(&hash->operation, data, length));
}

static void cs_sha256_final(struct cs_sha256 *hash, uint8_t digest[32])
{
    size_t length;

    cs_sha256_check(psa_hash_finish(&hash->operation, digest, 32, &length));
}
