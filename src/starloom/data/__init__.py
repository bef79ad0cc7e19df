"""Sources -> documents -> filters and duplicates -> repository sequences -> token shards. Entry: `starloom.data.build.build`."""
