/**
 * Tests import `evolvent`, `evolvent/sqlite` and `evolvent/testing` by name and get the sources: the condition comes first,
 * what follows are Vite's own defaults for code that runs in Node.
 */
import { defineConfig } from "vitest/config"

const conditions = ["@evolvent/source", "module", "node", "development|production"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  server: { watch: { ignored: ["**/.snippets/**", "**/build/**", "**/dist/**"] } },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/postgresServer.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    silent: "passed-only"
  }
})
