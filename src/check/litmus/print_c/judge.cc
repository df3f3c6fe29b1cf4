// Whether a condition holds of what was seen, in C; each function is a kind of word of
// docs/litmus.md.
#include "check/litmus/print_c/pieces.h"

namespace verso::check::print_c {

const std::vector<Piece>& judge_pieces() {
    static const std::vector<Piece> pieces = {
        {"is_word said thread_said", R"c(
static int is_word(const char *is, const char *word)
{
    if (strcmp(word, "done") == 0 || strcmp(word, "silent") == 0)
        return strncmp(is, "done", 4) == 0 || is[0] == '=';
    return strcmp(is, strcmp(word, "msg") == 0 ? "SIGBUS" : word) == 0;
}
)c"},
        {"said", R"c(
static int said(int step, const char *word)
{
    return step <= steps_made && is_word(seen[step].word, word);
}
)c"},
        {"thread_said", R"c(
/* `name` with a colon behind it. */
static int thread_said(int step, const char *name, const char *word)
{
    for (int i = 0; i < ACTORS; ++i)
        if (strncmp(seen[step].threads[i], name, strlen(name)) == 0 &&
            is_word(seen[step].threads[i] + strlen(name), word))
            return 1;
    return 0;
}
)c"},
        {"named count_words", R"c(
/* Among words with blanks between. */
static int named(int step, const char *word)
{
    const size_t size = strlen(word);
    for (const char *at = seen[step].word; (at = strstr(at, word)) != NULL; ++at)
        if ((at == seen[step].word || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
            return 1;
    return 0;
}
)c"},
        {"count_words", R"c(
static int count_words(int step)
{
    int count = 1;
    for (const char *at = seen[step].word; *at != '\0'; ++at)
        count += *at == ' ';
    return count;
}
)c"},
        {"entry_is", R"c(
/* "Pu" is met by "Puf": that it is of a file need not be said. */
static int entry_is(int step, int area, int page, const char *wanted)
{
    char is[32];
    if (!seen[step].there[area] || page >= PAGES)
        return 0;
    entry_text(is, sizeof is, seen[step].page[area][page].entry);
    if (strcmp(is, wanted) != 0 && is[strlen(is) - 1] == 'f')
        is[strlen(is) - 1] = '\0';
    return strcmp(is, wanted) == 0;
}
)c"},
        {"written", R"c(
/* To PAGEMAP_SCAN: 1 yes, 0 no, -1 there is no such page. */
static int written(int step, int area, int page)
{
    if (!seen[step].there[area] || page >= PAGES)
        return -1;
    return seen[step].page[area][page].categories >> 1 & 1;
}
)c"},
        {"soft_dirty", R"c(
static int soft_dirty(int step, int area, int page)
{
    if (!seen[step].there[area] || page >= PAGES)
        return -1;
    return seen[step].page[area][page].entry >> 55 & 1;
}
)c"},
        {"holds", R"c(
/* What a page holds in the end. */
static int holds(int of_child, int page, const char *value)
{
    return page < PAGES && strcmp(contents[of_child][page], value) == 0;
}
)c"},
        {"broken must never may", R"c(
static int broken;
)c"},
        {"must", R"c(
static void must(int holds_here, const char *what)
{
    if (!holds_here) {
        printf("broken: %s\n", what);
        broken = 1;
    }
}
)c"},
        {"never", R"c(
static void never(int holds_here, const char *what)
{
    if (holds_here) {
        printf("broken: %s\n", what);
        broken = 1;
    }
}
)c"},
        {"may", R"c(
static void may(int holds_here, const char *what)
{
    printf("%s: %s\n", holds_here ? "seen" : "not seen", what);
}
)c"},
    };
    return pieces;
}

}  // namespace verso::check::print_c
