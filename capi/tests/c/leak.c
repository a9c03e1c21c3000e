/* Forgets to free something of the library. */
#include <countersign_host.h>

int main(void)
{
    struct cs_keys *keys;

    return cs_keys_new(&keys, NULL) != CS_ERR_NONE;
}
