import { RegistryProvider } from "@effect-atom/atom-react"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import "./styles/tokens.css"
import "./styles/console.css"
import { Console } from "./views/Console.tsx"

const root = document.getElementById("root")
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <RegistryProvider>
        <Console />
      </RegistryProvider>
    </StrictMode>
  )
}
