#include <array>
#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "check.hpp"
#include "core/time.hpp"
#include "readers/view_build.hpp"
#include "unit.hpp"

namespace tests {
namespace {

using readers::BuildEntry;
using readers::BuildLayout;
using readers::BuildPlan;
using readers::BuildState;
using readers::kGenerations;
using readers::ViewBuild;
using readers::ViewBuilds;

constexpr size_t kGenerationWords = 8;
constexpr size_t kGenerationsAt = 8;
constexpr BuildLayout kLayout{0, 1, 2, 4, 6, 0, 2, 0, 1, 2, kGenerationsAt, kGenerationWords, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 7};
constexpr std::string_view kPage = "# HELP a A.\n# TYPE a gauge\na 1\n";
constexpr size_t kHeader = kPage.find("a 1\n");

std::atomic_ref<int32_t> shared(int32_t& word) { return std::atomic_ref<int32_t>(word); }

// A channel with one family, in both buffers the same text but for the number.
struct Channel {
  std::array<int32_t, 8> words{};
  std::array<double, 4> floats{};
  std::array<std::string, 2> pages{std::string(kPage), std::string(kPage)};
  std::array<uint32_t, 4> index{0, kHeader, kPage.size() - kHeader, 1};

  Channel() {
    words[1] = 1;
    words[6] = words[7] = 1;
    floats[0] = floats[1] = 1;
  }

  // What a lane does at the end of a run.
  void publish(char digit) {
    const int32_t buffer = shared(words[0]).load() == 0 ? 1 : 0;
    pages[static_cast<size_t>(buffer)][kHeader + 2] = digit;
    shared(words[0]).store(buffer);
    shared(words[1]).fetch_add(1);
  }

  BuildEntry entry() {
    BuildEntry made;
    made.words = words;
    made.floats = floats;
    made.role = 0;
    for (size_t i = 0; i < 2; ++i) made.pages[i] = {{reinterpret_cast<uint8_t*>(pages[i].data()), pages[i].size()}, index};
    return made;
  }
};

struct View {
  std::array<int32_t, kGenerationsAt + kGenerations * kGenerationWords> words{};
  std::array<double, 7 + kGenerations> floats{};
  std::array<std::array<uint8_t, 256>, kGenerations> pages{};
  ViewBuild build{kLayout, words, floats, 1, 1e12};

  View() {
    words[0] = -1;
    floats[2] = -1;
    floats[0] = readers::monotonic_ms();
  }

  BuildPlan plan(Channel& channel) {
    BuildPlan made;
    made.entries.push_back(channel.entry());
    made.order = {0, 0, 0};
    made.kinds = {0};
    for (size_t i = 0; i < kGenerations; ++i) made.pages[i] = pages[i];
    return made;
  }

  // What the main thread does for a response.
  std::string read() {
    auto current = shared(words[0]).load();
    for (;;) {
      auto pins = shared(words[kGenerationsAt + static_cast<size_t>(current) * kGenerationWords]);
      pins.fetch_add(1);
      const auto now = shared(words[0]).load();
      if (now == current) {
        const auto bytes = static_cast<size_t>(words[kGenerationsAt + static_cast<size_t>(current) * kGenerationWords + 1]);
        const auto& page = pages[static_cast<size_t>(current)];
        std::string text(page.begin(), page.begin() + static_cast<ptrdiff_t>(bytes));
        pins.fetch_sub(1);
        return text;
      }
      pins.fetch_sub(1);
      current = now;
    }
  }
};

void test_plans() {
  Channel channel;
  View view;
  CHECK(view.build.is_sound());
  CHECK(view.build.perform() == BuildState::left);
  CHECK(view.build.arm(view.plan(channel)));
  CHECK(view.build.perform() == BuildState::built);
  CHECK(view.read() == kPage);
  CHECK(view.build.perform() == BuildState::unneeded);
  channel.publish('7');
  CHECK(view.build.perform() == BuildState::built);
  CHECK(view.read()[kHeader + 2] == '7');
  // An index that points outside its page.
  channel.index[2] = 1000;
  channel.publish('8');
  CHECK(view.build.perform() == BuildState::left);
  channel.index[2] = kPage.size() - kHeader;
  BuildPlan narrow = view.plan(channel);
  for (auto& page : narrow.pages) page = page.first(10);
  CHECK(view.build.arm(std::move(narrow)));
  CHECK(view.build.perform() == BuildState::left);
  BuildPlan short_words = view.plan(channel);
  short_words.entries[0].words = short_words.entries[0].words.first(3);
  CHECK(!view.build.arm(std::move(short_words)));
  CHECK(view.build.perform() == BuildState::left);
  CHECK(!ViewBuild(kLayout, std::span(view.words).first(12), view.floats, 1, 0).is_sound());
  CHECK(!ViewBuild(kLayout, view.words, view.floats, 2, 0).is_sound());
}

// A lane builds, the builder arms and disarms, the main thread reads: every page is whole.
void test_threads() {
  constexpr int kRounds = 2000;
  Channel channel;
  View view;
  const int bell = 0;
  auto& builds = ViewBuilds::process();
  builds.enter(&bell, view.build);
  CHECK(builds.arm(view.build, view.plan(channel)));
  CHECK(builds.perform(&bell));
  std::atomic<bool> is_over = false;
  std::thread lane([&] {
    for (int i = 0; i < kRounds; ++i) {
      channel.publish(static_cast<char>('0' + i % 10));
      static_cast<void>(builds.perform(&bell));
    }
    is_over.store(true);
  });
  std::thread builder([&] {
    while (!is_over.load()) {
      builds.disarm(view.build);
      CHECK(builds.arm(view.build, view.plan(channel)));
    }
  });
  while (!is_over.load()) {
    const std::string text = view.read();
    CHECK(text.size() == kPage.size() && text.starts_with(kPage.substr(0, kHeader)) && text.ends_with('\n'));
  }
  lane.join();
  builder.join();
  CHECK(builds.perform(&bell));
  CHECK(view.read()[kHeader + 2] == '0' + (kRounds - 1) % 10);
  builds.leave(view.build);
  // Nothing is left to build.
  view.build.disarm();
  CHECK(builds.perform(&bell));
}

}  // namespace

void test_view_builds() {
  test_plans();
  test_threads();
}

}  // namespace tests
