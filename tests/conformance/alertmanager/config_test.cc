#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/io/file_system.h"
#include "services/alertmanager/config/load.h"
#include "services/alertmanager/config/print.h"

// Upstream's own configuration files, good and bad: their names say which.
namespace narthex::alertmanager_config {
namespace {

std::string Folder() {
  const char* shared = std::getenv("NARTHEX_SHARED");
  return StrCat(shared != nullptr ? shared : NARTHEX_SOURCE_DIR "/../shared",
                "/conformance/alertmanager-config");
}

// A file that upstream refuses, and a part of the reason.
struct Bad {
  const char* file;
  const char* reason;
};
constexpr Bad kBad[] = {
    {"conf.mattermost-both-webhook-url-and-file.yml", "at most one of"},
    {"conf.mattermost-no-webhook-url.yml", "no global Mattermost Webhook URL set"},
    {"conf.mattermost-valid-receiver-both-webhook-url-and-file.yml", "at most one of"},
    {"conf.nil-match_re-route.yml", "invalid_label"},
    {"conf.nil-source_match_re-inhibition.yml", "invalid_source_label"},
    {"conf.nil-target_match_re-inhibition.yml", "invalid_target_label"},
    {"conf.opsgenie-both-file-and-apikey.yml", "at most one of"},
    {"conf.opsgenie-default-apikey-old-team.yml", "field teams not found"},
    {"conf.opsgenie-no-apikey.yml", "no global OpsGenie API Key set either inline or in a file"},
    {"conf.rocketchat-both-token-and-tokenfile.yml", "at most one of"},
    {"conf.rocketchat-both-tokenid-and-tokenidfile.yml", "at most one of"},
    {"conf.rocketchat-no-token.yml", "no global Rocketchat Token"},
    {"conf.slack-both-file-and-token.yml", "at most one of"},
    {"conf.slack-both-file-and-url.yml", "at most one of"},
    {"conf.slack-both-url-and-token.yml", "at most one of"},
    {"conf.slack-no-api-url-or-token.yml", "no Slack API URL nor App token set"},
    {"conf.slack-update-message-and-webhook.yml",
     "update_message can only be used with bot tokens"},
    {"conf.smtp-both-password-and-file.yml", "at most one of"},
    {"conf.sns-invalid.yml", "must provide either a Target ARN, Topic ARN, or Phone Number"},
    {"conf.telegram-both-bot-token-and-file.yml", "at most one of"},
    {"conf.telegram-no-bot-token.yml", "missing bot_token or bot_token_file"},
    {"conf.telegram-valid-receiver-both-bot-token-and-file.yml", "at most one of"},
    {"conf.victorops-both-file-and-apikey.yml", "at most one of"},
    {"conf.victorops-no-apikey.yml", "no global VictorOps API Key set"},
    {"conf.wechat-both-file-and-secret.yml", "at most one of"},
    {"conf.wechat-no-api-secret.yml", "no global Wechat Api Secret set"},
};

std::vector<std::string> Files() {
  const absl::StatusOr<std::vector<std::string>> names = io::PosixFileSystem()->List(Folder());
  INFO("the conformance data is missing: " << Folder());
  REQUIRE(names.ok());
  std::vector<std::string> files;
  for (const std::string& name : *names) {
    if (name.ends_with(".yml")) files.push_back(name);
  }
  return files;
}

const Bad* FindBad(const std::string& file) {
  const auto found = std::find_if(std::begin(kBad), std::end(kBad),
                                  [&file](const Bad& bad) { return file == bad.file; });
  return found == std::end(kBad) ? nullptr : found;
}

TEST_CASE("upstream's configurations are accepted or refused as upstream does") {
  size_t seen_bad = 0;
  const std::vector<std::string> files = Files();
  CHECK(files.size() >= 40);
  for (const std::string& file : files) {
    INFO(file);
    const absl::StatusOr<Config> config =
        LoadFile(io::PosixFileSystem(), io::JoinPath(Folder(), file));
    const Bad* bad = FindBad(file);
    if (bad == nullptr) {
      CHECK(std::string(Message(config.status())) == "");
      continue;
    }
    ++seen_bad;
    REQUIRE_FALSE(config.ok());
    CHECK(std::string(Message(config.status())).find(bad->reason) != std::string::npos);
    // The place: file, line and column.
    CHECK(Message(config.status()).starts_with(StrCat(io::JoinPath(Folder(), file), ":")));
  }
  CHECK(seen_bad == std::size(kBad));
}

TEST_CASE("what is printed of a configuration reads back as the same configuration") {
  for (const std::string& file : Files()) {
    if (FindBad(file) != nullptr) continue;
    INFO(file);
    const absl::StatusOr<Config> config =
        LoadFile(io::PosixFileSystem(), io::JoinPath(Folder(), file));
    REQUIRE(config.ok());
    const std::string printed = PrintConfig(*config);
    const absl::StatusOr<Config> again = LoadText(printed, io::JoinPath(Folder(), file));
    INFO(printed);
    CHECK(std::string(Message(again.status())) == "");
    if (!again.ok()) continue;
    const std::string second = PrintConfig(*again);
    // An empty text is not printed, as in upstream, so the first reading of one can still gain a
    // default.
    if (file != "conf.empty-fields.yml") CHECK(second == printed);
    const absl::StatusOr<Config> third = LoadText(second, io::JoinPath(Folder(), file));
    REQUIRE(third.ok());
    CHECK(PrintConfig(*third) == second);
  }
}

}  // namespace
}  // namespace narthex::alertmanager_config
