# Builds docs/errors/*.md into the program: cmake -DFOLDER=… -DOUTPUT=… -P error_pages.cmake
file(GLOB pages ${FOLDER}/*.md)
list(SORT pages)
set(rows "")
foreach(page ${pages})
  get_filename_component(code ${page} NAME_WE)
  if(code STREQUAL "README")
    continue()
  endif()
  file(READ ${page} text)
  string(APPEND rows "    {\"${code}\", R\"page(${text})page\"},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made from docs/errors by error_pages.cmake.
#pragma once
#include <string_view>
#include <vector>
namespace flynn::cli {
struct ErrorPage {
  std::string_view code;
  std::string_view text;
};
inline const std::vector<ErrorPage> kErrorPages{
${rows}};
}  // namespace flynn::cli
")
