/* A client of TLS with a shared key: connects, writes and reads. It is linked, never run. */
#include <mbedtls/ssl.h>

static int send_bytes(void *user, const unsigned char *bytes, size_t length)
{
    (void)user;
    (void)bytes;
    return (int)length;
}

static int receive_bytes(void *user, unsigned char *bytes, size_t length)
{
    (void)user;
    (void)bytes;
    return (int)length;
}

static int draw(void *user, unsigned char *bytes, size_t length)
{
    (void)user;
    (void)bytes;
    (void)length;
    return 0;
}

int main(void)
{
    static const unsigned char key[16] = { 1 }, id[] = { 'i', 'd' };
    static mbedtls_ssl_config config;
    static mbedtls_ssl_context tls;
    static unsigned char message[32];

    mbedtls_ssl_config_init(&config);
    mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_rng(&config, draw, NULL);
    mbedtls_ssl_conf_psk(&config, key, sizeof key, id, sizeof id);
    mbedtls_ssl_init(&tls);
    if (mbedtls_ssl_setup(&tls, &config) != 0)
        return 1;
    mbedtls_ssl_set_bio(&tls, NULL, send_bytes, receive_bytes, NULL);
    if (mbedtls_ssl_handshake(&tls) != 0)
        return 1;
    mbedtls_ssl_write(&tls, message, sizeof message);
    mbedtls_ssl_read(&tls, message, sizeof message);
    return mbedtls_ssl_close_notify(&tls);
}
