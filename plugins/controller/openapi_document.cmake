# Builds docs/api/controller.openapi.json into the plugin: cmake -DDOCUMENT=… -DOUTPUT=… -P openapi_document.cmake
file(READ ${DOCUMENT} text)
file(WRITE ${OUTPUT} "// Made from docs/api/controller.openapi.json by openapi_document.cmake.
#pragma once
#include <string_view>
namespace flynn::controller {
inline constexpr std::string_view kOpenApi = R\"openapi(${text})openapi\";
}  // namespace flynn::controller
")
