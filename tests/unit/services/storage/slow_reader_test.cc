// A Select whose receiver reads slowly, not at all, or goes away.
#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "tests/unit/services/storage/app_fixture.h"

namespace narthex::storage_service {
namespace {

constexpr double kBytesSent = 15e6;
// What waits of an answer: a frame in the hands of the transport, and its window.
constexpr double kBytesWaitingMax = 12e6;

// Values that do not compress, so that little work makes many bytes.
void FillNoisy(AppFixture* fixture) {
  const Timestamp start = absl::ToUnixMillis(absl::Now()) - 3'000'000;
  uint64_t state = 88172645463325252;
  for (int k = 0; k < 120; ++k) {
    tsdb::DbAppender appender(&fixture->app->db().head());
    for (int i = 0; i < 20'000; ++i) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      appender.Append(Labels{{"__name__", "noise"}, {"i", StrCat(i)}}, start + k * 15'000,
                      static_cast<double>(state));
    }
    REQUIRE(appender.Commit().ok());
  }
}

v1::ReadRequest All() {
  v1::ReadRequest request;
  request.mutable_select()->add_selectors()->set_max_time_ms(kMaxTimestamp / 2);
  return request;
}

// One Select by hand.
class RawSelect {
 public:
  explicit RawSelect(const std::string& endpoint)
      : stub_(v1::Storage::NewStub(rpc::MakeChannel(endpoint))) {
    context_.set_wait_for_ready(true);
    stream_ = stub_->Read(&context_);
    stream_->Write(All());
    stream_->WritesDone();
  }
  bool Read() {
    v1::ReadResponse response;
    return stream_->Read(&response);
  }
  void Cancel() { context_.TryCancel(); }
  grpc::Status Finish() { return stream_->Finish(); }

 private:
  const std::unique_ptr<v1::Storage::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ReadRequest, v1::ReadResponse>> stream_;
};

double Answered(const AppFixture& fixture) {
  return fixture.Metric("narthex_storage_select_bytes_total");
}
// Waits until the node has stopped answering, and says how much it has.
double WaitUntilStill(const AppFixture& fixture) {
  StopSignal never;
  double before = -1;
  int still = 0;
  for (int i = 0; i < 500 && still < 10; ++i) {
    const double now = Answered(fixture);
    still = now == before ? still + 1 : 0;
    before = now;
    never.WaitFor(absl::Milliseconds(20));
  }
  return before;
}

TEST_CASE("An answer is made as its receiver takes it, and ends with him") {
  AppFixture fixture;
  fixture.Start();
  FillNoisy(&fixture);
  {
    RawSelect whole(fixture.endpoint());
    while (whole.Read()) {
    }
    REQUIRE(whole.Finish().ok());
    REQUIRE(Answered(fixture) > kBytesSent);
  }
  const double before = Answered(fixture);

  SECTION("who does not read gets no more than the transport holds") {
    RawSelect slow(fixture.endpoint());
    REQUIRE(slow.Read());
    REQUIRE(slow.Read());
    const double held = WaitUntilStill(fixture) - before;
    INFO("held " << held);
    CHECK(held < kBytesWaitingMax);
    CHECK(fixture.Metric("narthex_storage_answers") == 1);
    // Others are answered meanwhile.
    CHECK(fixture.Select({Matcher::Equal("i", "7")}).size() == 1);
    slow.Cancel();
    CHECK(slow.Finish().error_code() == grpc::CANCELLED);
    CHECK(Eventually([&] { return fixture.Metric("narthex_storage_answers") == 0; }));
    CHECK(WaitUntilStill(fixture) - before < kBytesWaitingMax);
  }
  SECTION("who goes on reads all of it") {
    RawSelect slow(fixture.endpoint());
    REQUIRE(slow.Read());
    WaitUntilStill(fixture);
    while (slow.Read()) {
    }
    CHECK(slow.Finish().ok());
    CHECK(Answered(fixture) - before > kBytesSent);
  }
}

TEST_CASE("An answer that nobody takes is ended after a while") {
  AppFixture fixture;
  fixture.options.answer_stall_max = absl::Seconds(1);
  fixture.Start();
  FillNoisy(&fixture);
  RawSelect slow(fixture.endpoint());
  REQUIRE(slow.Read());
  CHECK(Eventually([&] { return fixture.Metric("narthex_storage_stalled_answers_total") == 1; }));
  CHECK(Eventually([&] { return fixture.Metric("narthex_storage_answers") == 0; }));
  while (slow.Read()) {
  }
  CHECK(slow.Finish().error_code() == grpc::CANCELLED);
}

TEST_CASE("A caller that cancels ends the work in the middle") {
  AppFixture fixture;
  fixture.Start();
  FillNoisy(&fixture);
  const auto querier = fixture.Querier();
  storage::Selector selector;
  selector.hints.end = kMaxTimestamp / 2;
  storage::SelectOptions options;
  bool cancelled = false;
  options.cancelled = [&] { return cancelled; };
  auto result = querier->Select(std::span(&selector, 1), options);
  REQUIRE(result.ok());
  REQUIRE(result->sets[0]->Next());
  cancelled = true;
  while (result->sets[0]->Next()) {
  }
  CHECK(absl::IsCancelled(result->sets[0]->status()));
  CHECK(Eventually([&] { return fixture.Metric("narthex_storage_answers") == 0; }));
  CHECK(Answered(fixture) < kBytesSent);
}

}  // namespace
}  // namespace narthex::storage_service
