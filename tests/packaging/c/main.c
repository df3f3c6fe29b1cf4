/* A consumer in C, through verso.h, built with pkg-config. */
#include <verso/verso.h>
int main(void) {
    verso_region* region = verso_region_create("c", VERSO_PAGE_BYTES, VERSO_TRACK_CONTENTS);
    verso_snapshot* snapshot = verso_region_snapshot(region);
    const int ok = snapshot != 0 && verso_snapshot_size(snapshot) == VERSO_PAGE_BYTES;
    verso_snapshot_free(snapshot);
    verso_region_free(region);
    return ok ? 0 : 1;
}
