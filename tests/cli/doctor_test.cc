// doctor: the report as a function of abilities and facts (H13: about machines that this one is
// not), and the verb itself on this machine.
#include "cli/doctor.h"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/abi.h"
#include "linux/linux_kernel.h"

namespace verso::cli {
namespace {
using host::Mask;
using kernel::Abilities;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A machine that has everything, as root.
Abilities all_abilities() {
    Abilities can;
    can.userfaultfd = true;
    can.uffd_features = 0x1FFFF;
    can.write_protect_shmem = can.wp_unpopulated = can.wp_async = can.minor_shmem = true;
    can.continue_private = can.poison = can.layout_events = can.pagemap_scan = true;
    return can;
}
MachineFacts good_facts() {
    MachineFacts facts;
    facts.kernel_release = "6.18.0";
    facts.machine = "x86_64";
    facts.page_bytes = page_size;
    facts.root = facts.can_ptrace = facts.uffd_device = facts.uffd_device_usable = true;
    facts.unprivileged_uffd = 0;
    facts.overcommit = 0;
    facts.map_count_max = 65530;
    facts.descriptors = 20'000;
    facts.memlock_bytes = 8 << 20;
    facts.shmem_huge = "never";
    return facts;
}
DoctorReport masked(bool Mask::*hidden) {
    Mask mask;
    mask.*hidden = true;
    return make_report(host::apply(mask, all_abilities()), good_facts());
}
VerbPlan plan_of(const DoctorReport& report, std::string_view verb) {
    for (const VerbPlan& plan : report.verbs) {
        if (plan.verb == verb) {
            return plan;
        }
    }
    ADD_FAILURE() << "no plan for " << verb;
    return {};
}

TEST(Doctor, AMachineWithEverythingNeedsNoAdvice) {
    const DoctorReport report = make_report(all_abilities(), good_facts());
    EXPECT_THAT(report.advice, IsEmpty());
    for (const VerbPlan& plan : report.verbs) {
        EXPECT_TRUE(plan.best) << plan.verb;
        EXPECT_THAT(plan.backend, HasSubstr("userfaultfd")) << plan.verb;
    }
    EXPECT_TRUE(std::all_of(report.features.begin(), report.features.end(),
                            [](const FeatureLine& line) { return line.present; }));
}

TEST(Doctor, PlansEveryVerb) {
    const DoctorReport report = make_report(all_abilities(), good_facts());
    for (const char* verb :
         {"written", "snapshot", "fork, same process", "fork, other process", "rewind", "attach"}) {
        EXPECT_FALSE(plan_of(report, verb).backend.empty()) << verb;
    }
}

TEST(H13_MaskedFeature, WithoutUserfaultfdTheVerbsThatCanFallBackToMprotect) {
    const DoctorReport report = masked(&Mask::no_userfaultfd);
    for (const char* verb : {"written", "snapshot", "rewind", "fork, same process"}) {
        EXPECT_THAT(plan_of(report, verb).backend, HasSubstr("mprotect")) << verb;
        EXPECT_FALSE(plan_of(report, verb).best) << verb;
    }
    EXPECT_THAT(plan_of(report, "attach").backend, IsEmpty());
    EXPECT_THAT(plan_of(report, "fork, other process").backend, IsEmpty());
    EXPECT_THAT(report.advice, Contains(HasSubstr("userfaultfd")));
    EXPECT_THAT(report.advice, Contains(HasSubstr("vm.max_map_count")));
    EXPECT_EQ(report.reached, "not at all");
}

TEST(H13_MaskedFeature, WithoutWriteProtectionOfSharedMemoryMprotectServes) {
    const DoctorReport report = masked(&Mask::no_write_protect_shmem);
    EXPECT_THAT(plan_of(report, "snapshot").backend, HasSubstr("mprotect"));
    EXPECT_FALSE(report.write_protect_hugetlb);
    EXPECT_THAT(report.advice, Contains(AllOf(HasSubstr("5.19"), HasSubstr("arm64"))));
}

TEST(H13_MaskedFeature, WithoutAsyncProtectionWrittenIsServedBySyncProtection) {
    for (bool Mask::*hidden : {&Mask::no_wp_async, &Mask::no_pagemap_scan}) {
        const DoctorReport report = masked(hidden);
        EXPECT_EQ(plan_of(report, "written").backend, "userfaultfd");
        EXPECT_FALSE(plan_of(report, "written").best);
        EXPECT_TRUE(plan_of(report, "snapshot").best);
        EXPECT_THAT(report.advice, Contains(HasSubstr("6.7")));
    }
}

TEST(H13_MaskedFeature, WithoutMinorFaultsSnapshotsWorkAndForksDoNot) {
    const DoctorReport report = masked(&Mask::no_minor);
    EXPECT_TRUE(plan_of(report, "snapshot").best);
    EXPECT_THAT(plan_of(report, "fork, same process").backend, IsEmpty());
    EXPECT_THAT(plan_of(report, "fork, other process").backend, IsEmpty());
    EXPECT_THAT(report.advice, Contains(HasSubstr("minor faults")));
}

TEST(H13_MaskedFeature, AMissingFeatureIsListedWithTheReleaseThatBringsIt) {
    const std::string text = to_text(masked(&Mask::no_poison));
    EXPECT_THAT(text, HasSubstr("POISON (Linux 6.6)"));
}

TEST(H13_MaskedFeature, WithoutLayoutEventsTheUserIsToldWhatNotToDo) {
    EXPECT_THAT(masked(&Mask::no_layout_events).advice, Contains(HasSubstr("unmap")));
}

TEST(Doctor, UserModeOnlyIsSecondBestAndSaysWhatItCostsAndHowToMendIt) {
    Abilities can = all_abilities();
    can.user_mode_only = true;
    MachineFacts facts = good_facts();
    facts.root = facts.can_ptrace = facts.uffd_device_usable = false;
    const DoctorReport report = make_report(can, facts);
    EXPECT_FALSE(plan_of(report, "snapshot").best);
    EXPECT_THAT(plan_of(report, "snapshot").note, HasSubstr("EFAULT"));
    EXPECT_THAT(report.advice,
                Contains(AllOf(HasSubstr("vm.unprivileged_userfaultfd=1"),
                               HasSubstr("/dev/userfaultfd"), HasSubstr("CAP_SYS_PTRACE"))));
}

TEST(Doctor, AdvisesOnWhatTheMachineMakesTight) {
    MachineFacts facts = good_facts();
    facts.descriptors = 1024;
    facts.overcommit = 2;
    facts.shmem_huge = "always";
    facts.page_bytes = 65536;
    const DoctorReport report = make_report(all_abilities(), facts);
    EXPECT_THAT(report.advice, Contains(HasSubstr("ulimit -n")));
    EXPECT_THAT(report.advice, Contains(HasSubstr("overcommit")));
    EXPECT_THAT(report.advice, Contains(HasSubstr("shmem_enabled")));
    EXPECT_THAT(report.advice, Contains(HasSubstr("65536")));
}

TEST(Doctor, AContainerWithoutProcIsToldToMountIt) {
    MachineFacts facts = good_facts();
    facts.overcommit.reset();
    EXPECT_THAT(make_report(all_abilities(), facts).advice, Contains(HasSubstr("mount /proc")));
}

TEST(H33_UnseenWrites, AreNamedInTextAndJsonAndNobodyClaimsToDetectThem) {
    const DoctorReport report = make_report(all_abilities(), good_facts());
    const std::string text = to_text(report);
    EXPECT_THAT(text, AllOf(HasSubstr("io_uring"), HasSubstr("vfio"), HasSubstr("second mapping"),
                            HasSubstr("of these: no")));
    const nlohmann::json json = nlohmann::json::parse(to_json(report));
    ASSERT_GE(json["unseen_writes"].size(), 3U);
    for (const nlohmann::json& spot : json["unseen_writes"]) {
        EXPECT_FALSE(spot["detectable"].get<bool>());
        EXPECT_FALSE(spot["instead"].get<std::string>().empty());
    }
}

TEST(Doctor, JsonSaysWhatTheTextSays) {
    const nlohmann::json json = nlohmann::json::parse(to_json(masked(&Mask::no_wp_async)));
    EXPECT_EQ(json["machine"]["kernel"], "6.18.0");
    EXPECT_TRUE(json["tracking"]["userfaultfd"].get<bool>());
    EXPECT_FALSE(json["tracking"]["wp_async"].get<bool>());
    EXPECT_FALSE(json["tracking"]["features"]["WP_ASYNC"].get<bool>());
    EXPECT_TRUE(json["tracking"]["features"]["MINOR_SHMEM"].get<bool>());
    EXPECT_EQ(json["verbs"][0]["verb"], "written");
    EXPECT_TRUE(json["verbs"][0]["works"].get<bool>());
    EXPECT_FALSE(json["verbs"][0]["best"].get<bool>());
}

TEST(Doctor, WhatAMachineDoesNotSayIsNullOrUnknown) {
    const DoctorReport report = make_report(Abilities{}, MachineFacts{});
    const nlohmann::json json = nlohmann::json::parse(to_json(report));
    EXPECT_TRUE(json["machine"]["vm_max_map_count"].is_null());
    EXPECT_THAT(to_text(report), HasSubstr("unknown"));
}

TEST(Doctor, TextThatIsNotUtf8IsReplacedAndNotThrown) {
    MachineFacts facts = good_facts();
    facts.kernel_release = "6.18\xFF";
    EXPECT_TRUE(nlohmann::json::accept(to_json(make_report(all_abilities(), facts))));
}

TEST(Doctor, LinesFitATerminal) {
    for (const DoctorReport& report : {make_report(all_abilities(), good_facts()),
                                       masked(&Mask::no_userfaultfd), masked(&Mask::no_minor)}) {
        const std::string text = to_text(report);
        std::size_t start = 0;
        for (std::size_t end = 0; (end = text.find('\n', start)) != std::string::npos;) {
            EXPECT_LE(end - start, 96U) << text.substr(start, end - start);
            start = end + 1;
        }
    }
}

TEST(Doctor, RunsHereAndAsNobody) {
    for (const bool drop : {false, true}) {
        const pid_t child = ::fork();
        if (child == 0) {
            constexpr unsigned nobody = 65534;
            if (drop && ::geteuid() == 0 &&
                (::setresgid(nobody, nobody, nobody) != 0 ||
                 ::setresuid(nobody, nobody, nobody) != 0)) {
                ::_exit(2);
            }
            host::LinuxKernel kernel;
            const DoctorReport report = make_report(kernel.abilities(), gather_facts());
            const bool whole = nlohmann::json::accept(to_json(report)) && !to_text(report).empty();
            ::_exit(whole && (!drop || !report.facts.root) ? 0 : 1);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0) << (drop ? "as nobody" : "as this user");
    }
}

TEST(Doctor, ItsLastLineSaysWhetherSnapshotsAreSafe) {
    DoctorReport report = make_report(all_abilities(), good_facts());
    EXPECT_THAT(to_text(report), Not(HasSubstr("snapshots on this kernel")));  // it was not tried
    EXPECT_TRUE(nlohmann::json::parse(to_json(report))["safety"].is_null());
    check::Safety safety;
    safety.safe = check::Safe::no;
    safety.tried = 3;
    safety.broken.push_back({"SS: store", "a store goes unnoticed", "silent"});
    safety.not_tried.push_back({"SS: load", "no swap here"});
    report.safety = safety;
    EXPECT_THAT(to_text(report), testing::EndsWith("\nsnapshots on this kernel: unsafe because a "
                                                   "store goes unnoticed [3 programs, 1 could not "
                                                   "be tried here]\n"));
    EXPECT_THAT(to_text(report), HasSubstr("no swap here (SS: load)"));
    EXPECT_EQ(nlohmann::json::parse(to_json(report))["safety"]["broken"][0]["program"],
              "SS: store");
}

TEST(Doctor, FactsOfThisMachineAreThere) {
    const MachineFacts facts = gather_facts();
    EXPECT_THAT(facts.kernel_release, Not(IsEmpty()));
    EXPECT_GT(facts.page_bytes, 0U);
    EXPECT_GT(facts.descriptors, 0U);
    EXPECT_GT(facts.memory_bytes.value_or(0), 0U);
}

}  // namespace
}  // namespace verso::cli
