// One suite for the model and for the running kernel: what a program must show, it must show on
// both. On the running kernel its whole trace is compared with the model's as well: every outcome,
// the page tables after every step, and what the memory reads in the end.
//
//   TEST_P(Swap, AProtectedPageComesBackProtected) {
//       holds("A: store; REGISTER(WP); WRITEPROTECT; reclaim -> [Su]; store -> msg [Pu]");
//   }
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "check/check.h"

namespace verso::behaviour {

enum class Where : u8 { model, running_kernel };

class Behaviour : public testing::TestWithParam<Where> {
protected:
    /// The program's expectations are met here.
    void holds(std::string_view text);
    /// The same for each kind: "A SS SP" or, with options, "A SS, async".
    void holds_for(std::string_view kinds, std::string_view steps);
    void TearDown() override;

private:
    unsigned ran_ = 0;
    std::vector<std::string> why_not_;
};

}  // namespace verso::behaviour

#define VERSO_BEHAVIOUR(name) \
    class name : public ::verso::behaviour::Behaviour {}; \
    INSTANTIATE_TEST_SUITE_P( \
        On, name, \
        ::testing::Values(::verso::behaviour::Where::model, \
                          ::verso::behaviour::Where::running_kernel), \
        [](const auto& on) { \
            return on.param == ::verso::behaviour::Where::model ? "model_6_18" : "running_kernel"; \
        })
