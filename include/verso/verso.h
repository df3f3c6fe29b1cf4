/* verso.h: fork() for memory, from C and from anything that calls C. The same engine as verso.hpp,
 * whose opening comment states what a snapshot guarantees and which writes no snapshot sees; read
 * it first.
 *
 *     verso_region *r = verso_region_create("heap", 64 << 20, VERSO_TRACK_CONTENTS);
 *     unsigned char *bytes = verso_region_bytes(r);
 *     verso_snapshot *s = verso_region_snapshot(r);
 *     bytes[0] = 1;
 *     verso_region_rewind(r, s, NULL);               -- bytes[0] is what it was
 *     verso_snapshot_free(s); verso_region_free(r);
 *
 * UNITS. Sizes in bytes, positions and counts of memory in pages of VERSO_PAGE_BYTES; times in
 * nanoseconds unless the name says ms.
 *
 * ERRORS. A function that returns a pointer returns NULL on failure, one that returns int returns a
 * verso_status: VERSO_OK or what kind of failure. A failed call changes nothing. verso_last_error()
 * is then one sentence that says what happened and what to do; it belongs to the calling thread and
 * stays until that thread's next failing call. Arguments documented as required may not be NULL:
 * passing NULL is VERSO_INVALID_ARGUMENT, not a crash.
 *
 * OWNERSHIP. Who creates frees: every pointer returned here has one matching …_free, which accepts
 * NULL. Snapshots may outlive their region, children may outlive both, in any order. Descriptors
 * passed in are borrowed for the call (the engine keeps duplicates). Strings passed in are copied.
 *
 * THREADS. Any function may be called from any thread, also on the same object, except that an
 * object must not be freed while another call uses it. The bytes of a region are yours: any thread
 * may use them at any time, except during verso_region_rewind on that region.
 */
#ifndef VERSO_VERSO_H
#define VERSO_VERSO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VERSO_PAGE_BYTES 4096

typedef struct verso_region verso_region;
typedef struct verso_snapshot verso_snapshot;

typedef enum verso_status {
    VERSO_OK = 0,
    VERSO_INVALID_ARGUMENT = 1, /* the call cannot be right; mend the program */
    VERSO_UNSUPPORTED = 2,      /* this kernel, privilege or backend cannot do it */
    VERSO_RESOURCE = 3,         /* memory, descriptors, limits */
    VERSO_PEER = 4,             /* the other process is gone or speaks something else */
    VERSO_DAMAGED = 5,          /* tracked pages were unmapped, moved or discarded */
    VERSO_SYSTEM = 6            /* the kernel said no in a way nobody expected */
} verso_status;

typedef enum verso_tracking {
    VERSO_TRACK_CONTENTS = 0, /* snapshot, fork, rewind and written; ~10 us per first write */
    VERSO_TRACK_PAGES = 1     /* only written; ~1 us per first write */
} verso_tracking;

/* A half-open run of pages. */
typedef struct verso_page_range {
    uint64_t first;
    uint64_t count;
} verso_page_range;

typedef struct verso_rewind_report {
    uint64_t pages_restored;
    uint64_t ns;
} verso_rewind_report;

/* ── errors ──────────────────────────────────────────────────────────────────────────────────── */

/* The calling thread's last failure: its sentence ("" if there was none), its kind, its errno (or
 * 0). */
const char* verso_last_error(void);
verso_status verso_last_status(void);
int verso_last_os_error(void);

/* ── regions ─────────────────────────────────────────────────────────────────────────────────── */

/* New zeroed memory; size is rounded up to pages. name may be NULL. */
verso_region* verso_region_create(const char* name, size_t size, verso_tracking tracking);

/* Memory that the application has already: a memfd and its MAP_SHARED mapping from offset 0. The
 * mapping stays the application's: unmap it only after verso_region_free. name may be NULL. */
verso_region* verso_region_adopt(const char* name, int memfd, void* address, size_t size,
                                 verso_tracking tracking);

/* Ends tracking; unmaps what verso mapped. Snapshots and children keep all they need. */
void verso_region_free(verso_region* region);

/* NULL if the mapping lives in another process (and for a NULL region). */
void* verso_region_bytes(const verso_region* region);
size_t verso_region_size(const verso_region* region);

/* Which pages were written since *mark, and protects them again in the same step: a write is in
 * this answer or in the next, never in neither. Start with *mark = 0 (everything); it is moved on.
 * *ranges is ascending and disjoint, *count long; free it with verso_ranges_free. */
verso_status verso_region_written(verso_region* region, uint64_t* mark, verso_page_range** ranges,
                                  size_t* count);
void verso_ranges_free(verso_page_range* ranges);

/* Makes the region's bytes those of one of its snapshots, of any age, touching only pages written
 * since. No thread may use the bytes meanwhile. report may be NULL. */
verso_status verso_region_rewind(verso_region* region, const verso_snapshot* snapshot,
                                 verso_rewind_report* report);

/* Gives pages back to the system: they read as zeroes; whoever needs the old bytes keeps them. */
verso_status verso_region_discard(verso_region* region, verso_page_range range);

/* One sentence: what enforces protection here, and its cost. "" while all is well: what the
 * application did to tracked pages behind the engine's back. Both stay valid until the calling
 * thread asks again. */
const char* verso_region_describe(const verso_region* region);
const char* verso_region_damage(const verso_region* region);

/* ── snapshots ───────────────────────────────────────────────────────────────────────────────── */

/* Freezes this moment, with writers running. Costs memory only for what is written afterwards. */
verso_snapshot* verso_region_snapshot(verso_region* region);
void verso_snapshot_free(verso_snapshot* snapshot);
size_t verso_snapshot_size(const verso_snapshot* snapshot);

/* The frozen contents, read-only, valid while the snapshot lives; NULL on failure. */
const void* verso_snapshot_bytes(verso_snapshot* snapshot);

/* A writable child in this process; untouched pages stay shared, physically. name may be NULL. */
verso_region* verso_snapshot_fork(const verso_snapshot* snapshot, const char* name);

/* A writable child in another process: one side exports over a connected SOCK_SEQPACKET Unix
 * socket, the other imports. Both wait for each other, timeout_ms at most; VERSO_PEER if the other
 * did not come. address is where the child is to be mapped, NULL for anywhere; name may be NULL. */
verso_status verso_snapshot_export(const verso_snapshot* snapshot, int socket, int timeout_ms);
verso_region* verso_region_import(const char* name, int socket, void* address, int timeout_ms);

/* Stores every page that is still only in the live region, so that nothing depends on it any more.
 * */
verso_status verso_snapshot_detach(const verso_snapshot* snapshot);

#ifdef __cplusplus
}
#endif

#endif
