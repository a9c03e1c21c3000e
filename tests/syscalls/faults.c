/* Which call has which fault.
 *
 * The seed decides which faults a schedule has and how often, and then each call of each
 * descriptor by its number: what happens on one connection doesn't change what happens on another.
 * The test switches faults on and off, and reads their counts, in a page that both have mapped.
 */
#define _GNU_SOURCE
#include "faults.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the test reads: page.rs. */
struct page {
    _Atomic uint64_t armed;
    struct {
        char name[24];
        _Atomic uint64_t count;
    } faults[FAULT_COUNT];
};

static const struct {
    const char *name;
    uint64_t most;
} FAULT_TABLE[FAULT_COUNT] = {
#define FAULT(fault, name, most) {name, most},
    FAULTS(FAULT)
#undef FAULT
};

static struct page *page;
static uint64_t seed;

/* Each strikes once in so many calls; 0 never. */
static uint64_t odds[FAULT_COUNT];

/* By descriptor: its number among all, and how many numbers were drawn for it. */
static struct {
    uint64_t number, drawn;
} drawn[DESCRIPTORS];
static _Atomic uint64_t numbers;

/* SplitMix64. */
static uint64_t mix(uint64_t from) {
    from += 0x9e3779b97f4a7c15;
    from = (from ^ from >> 30) * 0xbf58476d1ce4e5b9;
    from = (from ^ from >> 27) * 0x94d049bb133111eb;
    return from ^ from >> 31;
}

/* The words of a list that has commas between them, or all words if there is no list. */
static bool lists(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == 0)) return true;
    }
    return !list;
}

/* Half of the faults, each from its most to a sixteenth of that. */
static void choose_odds(const char *only) {
    for (size_t fault = 0; fault < FAULT_COUNT; fault++) {
        uint64_t chosen = mix(seed ^ mix(fault));
        odds[fault] = chosen & 1 ? FAULT_TABLE[fault].most << (chosen >> 1) % 5 : 0;
        if (!lists(only, FAULT_TABLE[fault].name)) odds[fault] = 0;
    }
}

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("COUNTERSIGN_FAULT_SEED"), *path = getenv("COUNTERSIGN_FAULT_PAGE");
    if (!text || !path) return;
    seed = mix(strtoull(text, NULL, 10));
    choose_odds(getenv("COUNTERSIGN_FAULT_ONLY"));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *page)) abort();
    struct page *mapped = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) abort();
    close(fd);
    for (size_t fault = 0; fault < FAULT_COUNT; fault++) {
        snprintf(mapped->faults[fault].name, sizeof mapped->faults[fault].name, "%s",
                 FAULT_TABLE[fault].name);
    }
    page = mapped;
}

void *original(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

void forget(int fd) {
    if (fd >= 0 && fd < DESCRIPTORS) drawn[fd].number = drawn[fd].drawn = 0;
}

uint64_t draw(int fd, uint64_t limit) {
    if (!drawn[fd].number) drawn[fd].number = atomic_fetch_add(&numbers, 1) + 1;
    return mix(seed ^ mix(drawn[fd].number ^ mix(++drawn[fd].drawn))) % limit;
}

bool strikes(int fd, enum fault fault) {
    if (!page || fd < 0 || fd >= DESCRIPTORS || !odds[fault]) return false;
    if (!atomic_load(&page->armed) || draw(fd, odds[fault])) return false;
    atomic_fetch_add(&page->faults[fault].count, 1);
    return true;
}
