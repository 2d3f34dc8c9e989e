#ifndef NARTHEX_SERVICES_QUERY_UI_PAGES_H_
#define NARTHEX_SERVICES_QUERY_UI_PAGES_H_

#include <string>

#include "lib/http/router.h"

// The web pages for people: one document without anything from elsewhere, that asks the HTTP API.
namespace narthex::query_ui {

// The document, with its markers @@BASE@@ and @@TITLE@@ (page.html).
extern const char kPageHtml[];

struct PageOptions {
  std::string route_prefix;   // "" or "/prefix", before every path.
  std::string external_path;  // Path of the external URL: "" or "/prefix"; what browsers see.
  std::string title = "Narthex";
};

// Adds "/" (a redirect to /query), /query, /graph (as links of alerts and old ones of people have
// it), and the paths of upstream's other pages. A path without a page stays a plain 404: clients
// tell servers apart by that.
void AddPages(http::Router* router, const PageOptions& options);

// The document with its markers filled in; both texts are escaped.
std::string RenderPage(const PageOptions& options);

}  // namespace narthex::query_ui

#endif  // NARTHEX_SERVICES_QUERY_UI_PAGES_H_
