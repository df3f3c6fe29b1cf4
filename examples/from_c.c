/* The C interface: which pages a computation wrote, and how to undo them. */
#include <stdio.h>
#include <stdlib.h>
#include <verso/verso.h>

static void stop(const char* doing) {
    fprintf(stderr, "%s: %s\n", doing, verso_last_error());
    exit(1);
}

int main(void) {
    verso_region* region =
        verso_region_create("heap", (size_t)1024 * VERSO_PAGE_BYTES, VERSO_TRACK_CONTENTS);
    if (region == NULL) {
        stop("creating a region");
    }
    unsigned char* bytes = verso_region_bytes(region);
    uint64_t mark = 0;
    verso_page_range* ranges = NULL;
    size_t count = 0;
    if (verso_region_written(region, &mark, &ranges, &count) != VERSO_OK) {
        stop("starting to track");
    }
    verso_ranges_free(ranges);

    verso_snapshot* before = verso_region_snapshot(region);
    if (before == NULL) {
        stop("taking a snapshot");
    }
    bytes[7 * VERSO_PAGE_BYTES] = 1;
    bytes[8 * VERSO_PAGE_BYTES] = 1;
    if (verso_region_written(region, &mark, &ranges, &count) != VERSO_OK) {
        stop("asking what was written");
    }
    for (size_t i = 0; i < count; ++i) {
        printf("written: pages %llu to %llu\n", (unsigned long long)ranges[i].first,
               (unsigned long long)(ranges[i].first + ranges[i].count - 1));
    }
    verso_ranges_free(ranges);

    if (verso_region_rewind(region, before, NULL) != VERSO_OK) {
        stop("rewinding");
    }
    printf("after rewinding: %d\n", bytes[7 * VERSO_PAGE_BYTES]);
    const int left_over = bytes[7 * VERSO_PAGE_BYTES];
    verso_snapshot_free(before);
    verso_region_free(region);
    return left_over;
}
