// Runs the tests of this folder, or those whose names begin with one of the arguments. Exit status 0: all passed.
#include <cstdio>
#include <cstring>

#include "common/simd.h"
#include "tests/testing.h"

int main(int argc, char** argv) {
  using namespace kerascnn::testing;
  std::printf("kernels_test: %s\n", kerascnn::CpuLevelName(kerascnn::BestCpuLevel()));
  int run = 0;
  for (const Test& test : Tests()) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; ++i) wanted = wanted || !std::strncmp(test.name, argv[i], std::strlen(argv[i]));
    if (!wanted) continue;
    const int checks = Checks(), failures = Failures();
    test.run();
    const int wrong = Failures() - failures;
    std::printf("%-28s %d checks, %s\n", test.name, Checks() - checks, wrong ? "FAILED" : "passed");
    std::fflush(stdout);
    ++run;
  }
  std::printf("%d tests, %d checks, %d wrong\n", run, Checks(), Failures());
  return run == 0 || Failures() > 0;
}
