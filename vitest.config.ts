import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

export default defineConfig({
  ssr: { resolve: { conditions: ["@app/source"] } },
  resolve: { conditions: ["@app/source"] },
  test: {
    include: ["test/**/*.test.ts"],
    // Files share the processes they run in, so that each loads Effect once and not once a file: a third less work.
    isolate: false,
    setupFiles: ["test/support/TestApi.ts"],
    // Real processes on a busy machine; what a test waits for is a signal, never a time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    // More than there are cores: a test that waits, for a process of its own or a disk, leaves a core to others.
    poolOptions: { forks: { maxForks: availableParallelism() + 1 } }
  }
})
