import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

// More than there are cores: a test that waits, for a process of its own or a disk, leaves a core to others.
const forks = availableParallelism() + 1

/** They take a minute or more: begun last, they would end alone. */
const slow = /\/test\/(soak\/|engine\/Heap|cli\/(Worker|Commands)\.|sandbox\/bundle\/Crash|secrets\/HostileText)/

class SlowFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const isSlow = ({ moduleId }: TestSpecification) => slow.test(moduleId)
    const sorted = await super.sort(files)
    return [...sorted.filter(isSlow), ...sorted.filter((file) => !isSlow(file))]
  }
}

export default defineConfig({
  ssr: { resolve: { conditions: ["@app/source"] } },
  resolve: { conditions: ["@app/source"] },
  test: {
    include: ["test/**/*.test.ts"],
    // Files share the processes they run in, so that each loads Effect once and not once a file: a third less work.
    isolate: false,
    setupFiles: ["test/support/TestApi.ts"],
    sequence: { sequencer: SlowFirst },
    // Real processes on a busy machine; what a test waits for is a signal, never a time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    // As many at the end as at the beginning: tinypool 1 takes an idle process leave twice, and the second fails the run.
    poolOptions: { forks: { minForks: forks, maxForks: forks } }
  }
})
