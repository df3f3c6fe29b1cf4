// Token: see the header.
#include "check/swarm/token.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "check/explore/scope.h"

namespace verso::check::swarm {
namespace {

constexpr std::string_view version = "v1";
constexpr std::string_view small = "small-";  // before the seed of a small plan
constexpr u64 tape_max = u64{1} << 22;

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t end = text.find(at);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(end + 1);
    }
}

bool number(std::string_view text, u64& value, int base = 10) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc{} && end == text.data() + text.size();
}

std::string knobs_that_differ(const Knobs& from, const Knobs& to) {
    Knobs one = from;
    Knobs other = to;
    const auto before = by_name(one);
    const auto after = by_name(other);
    std::string text;
    for (std::size_t i = 0; i < before.size(); ++i) {
        if (*before[i].second != *after[i].second) {
            text +=
                fmt::format("{}{}={}", text.empty() ? "" : ",", after[i].first, *after[i].second);
        }
    }
    return text;
}

/// Which of the acts that the seed drew are still there: both lists are in the same order.
std::string acts_kept(const Plan& whole, const Plan& rest) {
    std::vector<bool> bits;
    for (std::size_t i = 0; i < whole.tracks.size(); ++i) {
        auto next = rest.tracks[i].acts.begin();
        for (const Act& act : whole.tracks[i].acts) {
            const bool kept = next != rest.tracks[i].acts.end() && *next == act;
            next += kept ? 1 : 0;
            bits.push_back(kept);
        }
    }
    std::string text;
    for (std::size_t i = 0; i < bits.size(); i += 4) {
        unsigned digit = 0;
        for (std::size_t bit = 0; bit < 4 && i + bit < bits.size(); ++bit) {
            digit |= bits[i + bit] ? 1U << bit : 0U;
        }
        text += fmt::format("{:x}", digit);
    }
    return text;
}

std::string tape_text(const Tape::Answers& tape) {
    std::string text;
    std::size_t zeroes = 0;
    for (const u32 answer : tape) {
        if (answer == 0) {
            ++zeroes;
            continue;
        }
        text += fmt::format("{}{}.{}", text.empty() ? "" : "-", std::exchange(zeroes, 0), answer);
    }
    return text;
}

Result<void> turn_knobs(std::string_view text, Knobs& knobs) {
    for (const std::string_view one : split(text, ',')) {
        if (one.empty()) {
            continue;
        }
        const std::size_t equals = one.find('=');
        const auto all = by_name(knobs);
        const auto found = std::ranges::find_if(
            all, [&](const auto& knob) { return knob.first == one.substr(0, equals); });
        u64 value = 0;
        if (equals == std::string_view::npos || found == all.end() ||
            !number(one.substr(equals + 1), value) || value > ~u32{0}) {
            return fail(ErrorKind::invalid_argument, 0, "'{}' is no knob of a run", one);
        }
        *found->second = static_cast<u32>(value);
    }
    const bool sane = knobs.pages >= 1 && knobs.pages <= pages_max && knobs.processes >= 1 &&
                      knobs.processes <= processes_max && knobs.kill_within >= 1;
    if (!sane) {
        return fail(ErrorKind::invalid_argument, 0, "'{}' is out of range", text);
    }
    return {};
}

Result<Tape::Answers> parse_tape(std::string_view text) {
    Tape::Answers tape;
    for (const std::string_view one : split(text, '-')) {
        u64 zeroes = 0;
        u64 answer = 0;
        const std::size_t dot = one.find('.');
        if (one.empty()) {
            continue;
        }
        if (dot == std::string_view::npos || !number(one.substr(0, dot), zeroes) ||
            !number(one.substr(dot + 1), answer) || zeroes > tape_max || answer > ~u32{0}) {
            return fail(ErrorKind::invalid_argument, 0, "'{}' is no part of a tape", one);
        }
        tape.insert(tape.end(), zeroes, 0);
        tape.push_back(static_cast<u32>(answer));
    }
    return tape;
}

}  // namespace

Plan without(const Plan& plan, const std::vector<bool>& kept) {
    Plan rest = plan;
    std::size_t at = 0;
    for (Track& track : rest.tracks) {
        std::erase_if(track.acts, [&](const Act&) { return !kept[at++]; });
    }
    return rest;
}

std::string token_of(const std::string& rules_text, const Case& what) {
    const Plan drawn = draw_plan(what.plan.seed, what.plan.size);
    std::string begin = fmt::format("{}/{}/{}{}", version, rules_text,
                                    what.plan.size == Size::small ? small : "", what.plan.seed);
    if (drawn == what.plan && !what.tape) {
        return begin;
    }
    return fmt::format("{}/{}/{}/{}", begin, knobs_that_differ(drawn.knobs, what.plan.knobs),
                       acts_kept(drawn, what.plan), tape_text(what.tape.value_or(Tape::Answers{})));
}

Result<Token> parse_token(std::string_view text) {
    const auto parts = split(text, '/');
    u64 seed = 0;
    const bool is_small = parts.size() > 2 && parts[2].starts_with(small);
    const Size size = is_small ? Size::small : Size::drawn;
    if ((parts.size() != 3 && parts.size() != 6) || parts[0] != version ||
        !number(parts[2].substr(is_small ? small.size() : 0), seed)) {
        return fail(ErrorKind::invalid_argument, 0,
                    "'{}' is no token of a run; it begins with {}/RULES/SEED", text, version);
    }
    const Result<mm::Rules> rules = explore::parse_rules(parts[1]);
    if (!rules) {
        return tl::unexpected<Error>(rules.error());
    }
    Token token{std::string(parts[1]), *rules, {draw_plan(seed, size)}};
    if (parts.size() == 3) {
        return token;
    }
    Plan& plan = token.what.plan;
    std::vector<bool> kept;
    for (const char digit : parts[4]) {
        u64 bits = 0;
        if (!number(std::string_view(&digit, 1), bits, 16)) {
            return fail(ErrorKind::invalid_argument, 0, "'{}' is no mask of acts", parts[4]);
        }
        for (unsigned bit = 0; bit < 4; ++bit) {
            kept.push_back((bits >> bit & 1) != 0);
        }
    }
    kept.resize(plan.acts());
    plan = without(plan, kept);
    if (const Result<void> turned = turn_knobs(parts[3], plan.knobs); !turned) {
        return tl::unexpected<Error>(turned.error());
    }
    Result<Tape::Answers> tape = parse_tape(parts[5]);
    if (!tape) {
        return tl::unexpected<Error>(tape.error());
    }
    token.what.tape = std::move(*tape);
    return token;
}

}  // namespace verso::check::swarm
