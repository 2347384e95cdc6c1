/** What holds for the whole log of courses and subscriptions, and how a subscription is decided by somebody who reads it all. */
import { Decider } from "evolvent"
import type { EventCatalog } from "evolvent"
import type { Laws } from "evolvent/testing"
import type { Seat } from "./deciders.ts"
import { CourseFull, mostCourses, TooManyCourses, UnknownCourse } from "./deciders.ts"
import type { AllEvents } from "./events.ts"
import { SubscriptionEvents } from "./events.ts"

type Log = ReadonlyArray<Laws.InLog<EventCatalog.Event<typeof AllEvents>>>

interface Totals {
  readonly capacities: ReadonlyMap<string, number>
  /** Student and course of every subscription that stands, once for each time. */
  readonly seats: ReadonlyArray<Seat>
}

const totalsOf = (log: Log): Totals => {
  const capacities = new Map<string, number>()
  let seats: ReadonlyArray<Seat> = []
  for (const event of log) {
    if (event.eventType === "StudentSubscribed") seats = [...seats, event.payload]
    else if (event.eventType === "StudentUnsubscribed") {
      const { courseId, studentId } = event.payload
      seats = seats.filter((it) => it.courseId !== courseId || it.studentId !== studentId)
    } else capacities.set(event.payload.courseId, event.payload.capacity)
  }
  return { capacities, seats }
}

const countBy = (seats: ReadonlyArray<Seat>, key: (seat: Seat) => string): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const seat of seats) counts.set(key(seat), (counts.get(key(seat)) ?? 0) + 1)
  return counts
}

export const rules = {
  "never more students than seats": (log: Log) => {
    const { capacities, seats } = totalsOf(log)
    for (const [course, taken] of countBy(seats, (seat) => seat.courseId)) {
      const capacity = capacities.get(course) ?? 0
      if (taken > capacity) return `course ${course} has ${capacity} seats and ${taken} students`
    }
    return true
  },
  "no student twice in a course": (log: Log) => {
    for (const [seat, times] of countBy(
      totalsOf(log).seats,
      (it) => `student ${it.studentId} in course ${it.courseId}`
    )) {
      if (times > 1) return `${seat}: ${times} times`
    }
    return true
  },
  "five courses a student at most": (log: Log) => {
    for (const [student, courses] of countBy(totalsOf(log).seats, (seat) => seat.studentId)) {
      if (courses > mostCourses) return `student ${student} has ${courses} courses`
    }
    return true
  }
}

/** Decides a subscription over the whole log. */
export const subscribeOverAll = (command: Seat, log: Log) => {
  const { capacities, seats } = totalsOf(log)
  const capacity = capacities.get(command.courseId)
  const ofStudent = seats.filter((seat) => seat.studentId === command.studentId)
  if (capacity === undefined) return Decider.reject(new UnknownCourse())
  if (ofStudent.some((seat) => seat.courseId === command.courseId)) return Decider.nothing
  if (seats.filter((seat) => seat.courseId === command.courseId).length >= capacity)
    return Decider.reject(new CourseFull())
  if (ofStudent.length >= mostCourses) return Decider.reject(new TooManyCourses())
  return Decider.accept(SubscriptionEvents.StudentSubscribed(command))
}
