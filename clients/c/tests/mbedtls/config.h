/* Mbed TLS as a client alone, which is given its randomness and moves its own bytes. */
#include "config-ccm-psk-tls1_2.h"
#undef MBEDTLS_SSL_SRV_C
#undef MBEDTLS_NET_C
#undef MBEDTLS_ENTROPY_C
#undef MBEDTLS_CTR_DRBG_C
