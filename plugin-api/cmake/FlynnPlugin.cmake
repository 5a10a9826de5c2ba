# flynn_add_plugin(NAME MANIFEST manifest.json SOURCES … [LIBS …] [LANGUAGE C|CXX] [ALLOW tls])
#
# Builds NAME.so with the only set of flags under which an image can be replaced and unmapped, embeds the manifest in its
# ELF note, links the C++ SDK (LANGUAGE CXX, the default) and runs the lint on the result. In-tree plugins and those of
# third parties use this same function.
set(FLYNN_PLUGIN_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})

function(flynn_add_plugin name)
  cmake_parse_arguments(arg "" "MANIFEST;LANGUAGE;ALLOW" "SOURCES;LIBS" ${ARGN})
  if(NOT arg_MANIFEST OR NOT arg_SOURCES)
    message(FATAL_ERROR "flynn_add_plugin(${name}): MANIFEST and SOURCES are required")
  endif()
  get_filename_component(manifest ${arg_MANIFEST} ABSOLUTE)
  file(READ ${manifest} manifest_text)
  string(JSON manifest_name ERROR_VARIABLE json_error GET "${manifest_text}" name)
  if(json_error)
    message(FATAL_ERROR "flynn_add_plugin(${name}): ${manifest}: ${json_error}")
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${manifest})

  set(note ${CMAKE_CURRENT_BINARY_DIR}/${name}_manifest_note.c)
  configure_file(${FLYNN_PLUGIN_CMAKE_DIR}/manifest_note.c.in ${note} @ONLY)
  set_source_files_properties(${note} PROPERTIES OBJECT_DEPENDS ${manifest} SKIP_PRECOMPILE_HEADERS ON)

  set(static_objects ${FLYNN_PLUGIN_CMAKE_DIR}/static_objects.c)
  set_source_files_properties(${static_objects} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  add_library(${name} MODULE ${arg_SOURCES} ${note} ${static_objects})
  set_target_properties(${name} PROPERTIES
    PREFIX "" NO_SONAME ON SKIP_BUILD_RPATH ON POSITION_INDEPENDENT_CODE ON
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS "${FLYNN_PLUGIN_CMAKE_DIR}/flynn.map;${FLYNN_PLUGIN_CMAKE_DIR}/flynn-plugin-lint")
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  target_link_options(${name} PRIVATE
    LINKER:--version-script=${FLYNN_PLUGIN_CMAKE_DIR}/flynn.map LINKER:-z,now LINKER:-z,relro
    LINKER:--exclude-libs,ALL LINKER:--build-id=sha1 LINKER:--as-needed)
  if(NOT FLYNN_SANITIZE)  # sanitizers leave their run-time to the executable
    target_link_options(${name} PRIVATE LINKER:-z,defs)
  endif()
  if("${arg_LANGUAGE}" STREQUAL "C")
    target_link_libraries(${name} PRIVATE Flynn::abi ${arg_LIBS})
  else()
    target_link_libraries(${name} PRIVATE Flynn::sdk ${arg_LIBS})
  endif()
  if(NOT FLYNN_SANITIZE)
    add_custom_command(TARGET ${name} POST_BUILD
      COMMAND ${FLYNN_PLUGIN_CMAKE_DIR}/flynn-plugin-lint $<TARGET_FILE:${name}> ${arg_ALLOW} VERBATIM)
  endif()
endfunction()
