import { runThrough } from "./runThrough.ts"

runThrough("postgres")
