import { Effect } from "effect"
import { ControlPlane } from "../control-plane/index.ts"
import { Authorized } from "./Caller.ts"
import {
  CreateTeam,
  DeleteTeam,
  GetTeam,
  ListMembers,
  ListProjectTeams,
  ListTeams,
  RemoveMember,
  RemoveProjectTeam,
  SetMember,
  SetProjectTeam,
  TeamRpcs,
  UpdateTeam
} from "./contract.ts"
import { planeMethods, removed } from "./internal/planeMethods.ts"

/** Answers `TeamRpcs` from the control plane. */
export const layer = TeamRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const plane = yield* ControlPlane.ControlPlane
  const { changing, reading } = yield* planeMethods
  return {
    "teams.create": changing(CreateTeam, plane.createTeam),
    "teams.get": reading(GetTeam, plane.getTeam),
    "teams.list": reading(ListTeams, plane.listTeams),
    "teams.update": changing(UpdateTeam, plane.updateTeam),
    "teams.delete": changing(DeleteTeam, plane.deleteTeam),
    "teamMembers.set": changing(SetMember, plane.addTeamMember),
    "teamMembers.list": reading(ListMembers, plane.listTeamMembers),
    "teamMembers.remove": changing(RemoveMember, (input) => removed(plane.removeTeamMember(input))),
    "projectTeams.set": changing(SetProjectTeam, plane.addProjectTeam),
    "projectTeams.list": reading(ListProjectTeams, plane.listProjectTeams),
    "projectTeams.remove": changing(RemoveProjectTeam, (input) => removed(plane.removeProjectTeam(input)))
  }
}))
