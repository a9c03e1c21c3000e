/* What a Cortex-M needs before main(), and how it talks to qemu (semihosting). */
#include "start.h"

#include <string.h>

extern uint8_t data_from[], data_start[], data_end[], __bss_start__[], __bss_end__[], stack_top[];

/* Opens the standard streams, in programs that are linked with newlib's rdimon. */
void initialise_monitor_handles(void) __attribute__((weak));

int main(int argc, char **argv);

static uint32_t semihost(uint32_t call, const void *argument)
{
    register uint32_t r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = argument;

    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void print(const char *text)
{
    semihost(0x04, text);
}

/* Ends qemu, in order or not. */
void leave(int is_right)
{
    semihost(0x18, (const void *)(is_right ? 0x20026UL : 0x20024UL));
}

void start(void)
{
    memcpy(data_start, data_from, (size_t)(data_end - data_start));
    memset(__bss_start__, 0, (size_t)(__bss_end__ - __bss_start__));
    if (initialise_monitor_handles)
        initialise_monitor_handles();
    leave(main(0, NULL) == 0);
}

static void fault(void)
{
    print("fault\n");
    leave(0);
}

/* The stack, the first instruction, and what is done when something goes wrong. */
__attribute__((section(".vectors"), used)) static const void *const vectors[] = {
    stack_top, (const void *)start, (const void *)fault, (const void *)fault
};
